"""Distances and neighbours of one site of a dataset, compared with those of an element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.analyse.profiles import Profiles
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError
from atomsight.core.scores import none_if_nan

if TYPE_CHECKING:
    from atomsight.dataset import Dataset


@dataclass(frozen=True)
class OpenSite:
    """A site with its crystal.

    Attributes:
        crystal, site, label, element, multiplicity, split: As in the dataset.
        distances: (k,) float32, Å.
        neighbour_elements: (k,) uint8 atomic numbers.
        formula, group, flags, source: Properties of the crystal.
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
    """Read a site by ``CRYSTAL:LABEL``, or by ``CRYSTAL:#3`` for the site of index 3.

    Raises:
        InputError: There is no such crystal or site, or several sites have the label. The message lists the
            sites.
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
    row: dict[str, Any] = {**found, **chosen[0], "flags": tuple(found["flags"])}
    row["distances"] = np.array(row["distances"], dtype=np.float32)
    row["neighbour_elements"] = np.array(row["neighbour_elements"], dtype=np.uint8)
    return OpenSite(**row)


def site_rows(site: OpenSite, profiles: Profiles, predicted: int | None) -> list[dict[str, Any]]:
    """Return a row per neighbour: rank, distance in Å, element, and two shares.

    The shares are those of the sites of the true and of the predicted element whose neighbour of that rank is
    nearer; None where the profiles hold no site of the element.
    """
    distances = site.distances[: profiles.k]
    columns = {"nearer_true": profiles.share_below(site.element, distances)}
    if predicted is not None:
        columns["nearer_predicted"] = profiles.share_below(predicted, distances)
    return [
        {
            "n": n + 1,
            "distance": round(float(distance), 5),
            "neighbour": SYMBOLS[site.neighbour_elements[n]],
            **{name: none_if_nan(round(float(values[n]), 5)) for name, values in columns.items()},
        }
        for n, distance in enumerate(distances)
    ]
