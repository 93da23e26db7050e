"""``atomsight distances``: distributions of the distance to the n-th nearest neighbour, and their peaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from atomsight.cli._output import FILES, Saving, emit, err, finish, keeps, out
from atomsight.core.errors import InputError
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.analyse import DistanceCounts, PairSummary
    from atomsight.analyse.distances import Weight
    from atomsight.dataset import Dataset

EPILOG = "Example: atomsight distances mofs --elements C,H,N,O --neighbour 1 --out distances"

SHOWN = 16
"""Pairs shown; the files hold all of them."""

WEIGHTS = ("sites", "atoms")


@keeps(FILES)
def distances(
    dataset_path: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.")],
    elements: Annotated[
        str, typer.Option("--elements", help="Centres: symbols such as C,H,N,O, top4, or all.")
    ] = "top4",
    neighbour: Annotated[
        str,
        typer.Option(help="Which neighbour: 1 the nearest, 1-4 each of the first four, any all of them."),
    ] = "1",
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write tables and figures here.")
    ] = None,
    bins: Annotated[int, typer.Option(help="Bins of the histograms.")] = 800,
    span: Annotated[str, typer.Option("--range", metavar="LOW,HIGH", help="Range of the bins, Å.")] = "0,4",
    split: Annotated[str, typer.Option(help="Which split: train, val, test or all.")] = "all",
    weight: Annotated[
        str, typer.Option(help="sites: every unique site counts once; atoms: all its copies in the cell.")
    ] = "sites",
    resolution: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Peaks nearer than about twice this are one, Å.")
    ] = 0.01,
    figures: Annotated[int, typer.Option(min=0, help="Most pairs drawn each, most frequent first.")] = 24,
    memory: Annotated[int, typer.Option(min=100, metavar="MB", help="Memory of the aggregation.")] = 400,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the aggregation.", show_default="cores, at most 4")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per pair of elements.")] = False,
) -> None:
    """Distributions of the n-th nearest-neighbour distance for every ordered pair of elements, with peaks.

    Each symmetry-unique site (the centre) adds one to the pair of its element and that of its n-th nearest
    neighbour among all atoms, so C-H (carbons whose neighbour is a hydrogen) and H-C differ.
    """
    if weight not in WEIGHTS:
        raise InputError(f"--weight takes {' or '.join(WEIGHTS)}, not {weight!r}")
    chosen_weight = cast("Weight", weight)
    low, high = _range(span)

    from atomsight.analyse import count_distances, parse_ranks, summarise_pairs
    from atomsight.core.files import check_folder
    from atomsight.dataset import open_dataset

    check_folder("--out", folder)
    dataset = open_dataset(dataset_path)
    centres = _elements(elements, dataset, split)
    ranks = parse_ranks(neighbour, dataset.k)
    with err.status("counting"):
        counts = count_distances(
            dataset,
            centres,
            ranks,
            split=split,
            low=low,
            high=high,
            bins=bins,
            memory_mb=memory,
            threads=threads,
        )
    with err.status("finding peaks"):
        pairs = summarise_pairs(counts, chosen_weight, resolution)
    summary = _settings(dataset, counts, split, chosen_weight, resolution)
    saving = Saving()
    if folder is not None:
        with saving:
            _write(counts, pairs, summary, folder, figures)
    if as_json:
        for pair in pairs:
            emit(pair.as_dict())
    else:
        _show(pairs, summary)
        if folder is not None:
            saving.tell(f"tables and figures in {folder}")
    finish(summary["sites"], saving)


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in re.split(r"[,:]", text))
    except ValueError as error:
        raise InputError(f"--range takes two lengths in Å such as 0,4, not {text!r}") from error
    return low, high


def _elements(text: str, dataset: Dataset, split: str) -> tuple[int, ...]:
    """Atomic numbers, most abundant first."""
    from atomsight.analyse.distances import present_elements
    from atomsight.core.elements import parse_elements

    present = tuple(present_elements(dataset, split))
    word = text.strip().lower()
    top = re.fullmatch(r"top[-_ ]?(\d+)", word)
    if word == "all":
        return present
    if top:
        if int(top[1]) < 1:
            raise InputError(f"--elements {text}: ask for at least one element")
        return present[: int(top[1])]
    named = parse_elements(text)
    return tuple(sorted(named, key=lambda z: present.index(z) if z in present else len(present)))


def _settings(
    dataset: Dataset, counts: DistanceCounts, split: str, weight: Weight, resolution: float
) -> dict[str, Any]:
    from atomsight.core.elements import SYMBOLS

    below, above = counts.outside(weight=weight)
    return {
        "dataset": str(dataset.path),
        "dataset_fingerprint": dataset.fingerprint,
        "split": split,
        "elements": [SYMBOLS[z] for z in counts.elements],
        "neighbour": f"{counts.ranks.first}-{counts.ranks.last}" if counts.ranks.last > 1 else "1",
        "neighbour_text": str(counts.ranks),
        "k": dataset.k,
        "range": [counts.low, counts.high],
        "bins": counts.bins,
        "weight": weight,
        "resolution": resolution,
        "sites": sum(dataset.element_counts(split)[z] for z in counts.elements),
        "counted": counts.total(weight=weight),
        "below_range": below,
        "above_range": above,
    }


def _write(
    counts: DistanceCounts,
    pairs: Sequence[PairSummary],
    summary: dict[str, Any],
    folder: Path,
    figures: int,
) -> None:
    from atomsight.analyse import write_distances
    from atomsight.plots.distances import overall_figure, pair_figure, pair_matrix_figure
    from atomsight.plots.style import save

    write_distances(counts, pairs, summary, folder)
    weight = summary["weight"]
    place = Path(summary["dataset"]).name + (
        f", {summary['split']} split" if summary["split"] != "all" else ""
    )
    which = (
        "Nearest neighbours" if counts.ranks.last == 1 else f"{counts.ranks} nearest neighbours".capitalize()
    )
    title = f"{which} in {place}"

    def both(name: str) -> list[Path]:
        return [folder / f"{name}.png", folder / f"{name}.svg"]

    with err.status("drawing"):
        save(overall_figure(counts, weight, title=title), both("distances-overall"))
        save(pair_matrix_figure(counts, pairs, weight, title=title), both("distances-pairs"))
        asked = [pair for pair in pairs if pair.pair.neighbour in counts.elements]
        for pair in asked[:figures]:
            name = f"{pair.pair}: {which[0].lower()}{which[1:]} in {place}"
            save(pair_figure(counts, pair, weight, title=name), both(f"distances-{pair.pair}"))


def _show(pairs: Sequence[PairSummary], summary: dict[str, Any]) -> None:
    from rich.table import Table

    weight = summary["weight"]
    low, high = summary["range"]
    out.print(
        f"{summary['neighbour_text']} nearest neighbour, {summary['counted']:,} counted ({weight}); "
        f"{summary['below_range'] + summary['above_range']:,} of them outside {low:g} to {high:g} Å. "
        "Pair: centre-neighbour; share: of the centre's neighbours, of the pair; lengths in Å",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("pair")
    for name in (weight, "share", "median", "peak", "FWHM", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for pair in pairs[:SHOWN]:
        count = pair.sites if weight == "sites" else pair.atoms
        median = "" if pair.median is None else f"{pair.median:.3f}"
        first = (str(pair.pair), f"{count:,}", f"{100 * pair.share:.1f} %", median)
        for i, (peak, kind) in enumerate(pair.peaks):
            head = ("", "", "", "") if i else first
            sizes = (f"{peak.position:.3f}", f"{peak.width:.3f}", f"{100 * peak.share:.1f} %")
            table.add_row(*head, *sizes, kind or "")
        if not pair.peaks:
            table.add_row(*first, "", "", "", "")
    out.print(table)
    if len(pairs) > SHOWN:
        out.print(f"and {counted(len(pairs) - SHOWN, 'more pair')}")
