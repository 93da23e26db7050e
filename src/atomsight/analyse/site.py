"""One site of a dataset, opened: its distances, its neighbours, and where each lies among those of an
element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.profiles import Profiles
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError

if TYPE_CHECKING:
    from atomsight.dataset import Dataset


@dataclass(frozen=True)
class OpenSite:
    """A site with its crystal.

    Attributes:
        crystal, site, label, element, multiplicity, split: as in the dataset.
        distances: (k,) float32, Å.
        neighbour_elements: (k,) uint8 atomic numbers.
        formula, group, flags, source: of the crystal.
    """

    crystal: str
    site: int
    label: str
    element: int
    multiplicity: int
    split: str
    distances: NDArray[np.float32]
    neighbour_elements: NDArray[np.uint8]
    formula: str
    group: str
    flags: tuple[str, ...]
    source: str


def open_site(dataset: Dataset, name: str) -> OpenSite:
    """Find a site by ``CRYSTAL:LABEL``, or by ``CRYSTAL:#3`` for the site of index 3.

    Raises:
        InputError: no such crystal or site, or several sites of that label; the message lists what there is.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    crystal, colon, label = name.rpartition(":")
    if not colon or not crystal or not label:
        raise InputError(f"a site is named as CRYSTAL:LABEL, such as ABAVIJ:C12, not {name!r}")
    table = dataset.crystals(["crystal", "formula", "group", "flags", "source", "split"])
    rows = table.filter(pc.field("crystal") == crystal).to_pylist()
    if not rows:
        similar = table.filter(pc.starts_with(table.column("crystal"), crystal[:5]))
        near = [str(name) for name in similar.column("crystal").to_pylist()[:5]]
        hint = f"; there are {', '.join(near)}" if near else ""
        raise InputError(f"{dataset.path} holds no crystal {crystal!r}{hint}")
    found = rows[0]
    shards = [str(path) for path in dataset.shards(found["split"])]
    columns = ["site", "label", "element", "multiplicity", "distances", "neighbour_elements"]
    sites = pa.concat_tables(
        pq.read_table(shard, columns=columns, filters=[("crystal", "=", crystal)]) for shard in shards
    ).to_pylist()
    if label.startswith("#"):
        chosen = [row for row in sites if str(row["site"]) == label[1:]]
    else:
        chosen = [row for row in sites if row["label"] == label]
    if len(chosen) != 1:
        listed = ", ".join(f"{row['label']} (#{row['site']})" for row in (chosen or sites)[:20])
        problem = f"{len(chosen)} sites" if chosen else "no site"
        more = f" and {len(sites) - 20} more" if not chosen and len(sites) > 20 else ""
        raise InputError(
            f"{crystal} holds {problem} {label!r}; it holds {listed}{more}. An index names one: {crystal}:#0"
        )
    row: dict[str, Any] = chosen[0]
    return OpenSite(
        crystal=crystal,
        site=row["site"],
        label=row["label"],
        element=row["element"],
        multiplicity=row["multiplicity"],
        split=found["split"],
        distances=np.array(row["distances"], dtype=np.float32),
        neighbour_elements=np.array(row["neighbour_elements"], dtype=np.uint8),
        formula=found["formula"],
        group=found["group"],
        flags=tuple(found["flags"]),
        source=found["source"],
    )


def site_rows(site: OpenSite, profiles: Profiles, predicted: int | None) -> list[dict[str, Any]]:
    """A row per neighbour: rank, distance in Å, element, and the share of the sites of the true and of the
    predicted element whose neighbour of that rank is nearer, None where the profiles hold no site of it."""
    distances = site.distances[: profiles.k]
    columns = {"nearer_true": profiles.share_below(site.element, distances)}
    if predicted is not None:
        columns["nearer_predicted"] = profiles.share_below(predicted, distances)
    return [
        {
            "n": n + 1,
            "distance": round(float(distance), 5),
            "neighbour": SYMBOLS[site.neighbour_elements[n]],
            **{
                name: None if np.isnan(values[n]) else round(float(values[n]), 5)
                for name, values in columns.items()
            },
        }
        for n, distance in enumerate(distances)
    ]
