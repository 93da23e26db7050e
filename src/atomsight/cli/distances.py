"""The verb ``distances``: distributions of the distance to the n-th nearest neighbour, and their peaks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, cast

from typer import Option

from atomsight.cli import options
from atomsight.cli._display import save_figures, show_table
from atomsight.cli._output import FILES, Saving, emit, err, finish, interruptible, out
from atomsight.core.errors import InputError
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from atomsight.analyse import DistanceCounts, PairSummary
    from atomsight.analyse.distances import Weight
    from atomsight.dataset import Dataset

EPILOG = "Example: atomsight distances mofs --elements C,H,N,O --neighbour 1 --out distances"

SHOWN = 16
"""Maximum number of pairs in the printed table; the files contain all pairs."""

WEIGHTS = ("sites", "atoms")


@interruptible(FILES)
def distances(
    dataset_path: options.DatasetPath,
    elements: Annotated[
        str, Option(help="Elements of the sites: symbols such as C,H,N,O, top4, or all.")
    ] = "top4",
    neighbour: Annotated[
        str, Option(help="Neighbour numbers: 1 the nearest, 1-4 the first four, any all of them.")
    ] = "1",
    folder: options.ResultFolder = None,
    bins: Annotated[int, Option(help="Number of histogram bins.")] = 800,
    span: Annotated[str, Option("--range", metavar="LOW,HIGH", help="Range of the histograms in Å.")] = "0,4",
    split: options.Split = "all",
    weight: Annotated[
        str, Option(help="sites: each symmetry-unique site counts once; atoms: each atom of the cell.")
    ] = "sites",
    resolution: Annotated[
        float, Option(min=0.001, max=0.5, help="Peaks closer than about twice this value (Å) are one.")
    ] = 0.01,
    figures: Annotated[
        int, Option(min=0, help="Maximum number of element pairs with a figure, most frequent first.")
    ] = 24,
    memory: Annotated[int, Option(min=100, metavar="MB", help="Memory of the aggregation.")] = 400,
    threads: Annotated[
        int | None, Option(min=1, help="Threads of the aggregation.", show_default="cores, at most 4")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Compute the distribution of the n-th nearest-neighbour distance for each pair of elements, with peaks.

    Pairs are ordered: the element of a symmetry-unique site, then the element of its n-th nearest neighbour.
    C-H (carbon sites with a hydrogen neighbour) and H-C therefore differ.
    """
    if weight not in WEIGHTS:
        raise InputError(f"--weight takes {' or '.join(WEIGHTS)}, not {weight!r}")
    chosen_weight = cast("Weight", weight)
    low, high = _range(span)

    from atomsight.analyse import count_distances, parse_ranks, summarise_pairs, write_distances
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
    with Saving() as saving:
        if folder is not None:
            write_distances(counts, pairs, summary, folder)
            save_figures(folder, _figures(counts, pairs, dataset.path.name, summary, figures))
    if as_json:
        for pair in pairs:
            emit(pair.as_dict())
    else:
        _show(pairs, summary)
        saving.report(folder)
    finish(summary["sites"], saving)


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in re.split(r"[,:]", text))
    except ValueError as error:
        raise InputError(f"--range takes two lengths in Å such as 0,4, not {text!r}") from error
    return low, high


def _elements(text: str, dataset: Dataset, split: str) -> tuple[int, ...]:
    """Return atomic numbers, most abundant element first."""
    from atomsight.analyse.distances import present_elements
    from atomsight.core.elements import parse_elements

    present = tuple(present_elements(dataset, split))
    word = text.strip().lower()
    top = re.fullmatch(r"top[-_ ]?(\d+)", word)
    if word == "all":
        return present
    if top:
        if int(top[1]) < 1:
            raise InputError(f"--elements {text}: at least one element is needed")
        return present[: int(top[1])]
    numbers = parse_elements(text)
    return tuple(sorted(numbers, key=lambda z: present.index(z) if z in present else len(present)))


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


def _figures(
    counts: DistanceCounts, pairs: Sequence[PairSummary], dataset: str, summary: dict[str, Any], most: int
) -> Iterator[tuple[str, Figure]]:
    """Yield the figures with the names of their files."""
    from atomsight.plots.distances import overall_figure, pair_figure, pair_matrix_figure

    weight = summary["weight"]
    place = dataset if summary["split"] == "all" else f"{dataset}, {summary['split']} split"
    number = "" if counts.ranks.last == 1 else f"{counts.ranks} "
    which = f"{number}nearest neighbours in {place}"
    title = which[0].upper() + which[1:]
    yield "distances-overall", overall_figure(counts, weight, title=title)
    yield "distances-pairs", pair_matrix_figure(counts, pairs, weight, title=title)
    among = [pair for pair in pairs if pair.pair.neighbour in counts.elements]
    for pair in among[:most]:
        yield f"distances-{pair.pair}", pair_figure(counts, pair, weight, title=f"{pair.pair}: {which}")


def _show(pairs: Sequence[PairSummary], summary: dict[str, Any]) -> None:
    weight = summary["weight"]
    low, high = summary["range"]
    out.print(
        f"{summary['neighbour_text']} nearest neighbour: {summary['counted']:,} distances ({weight}), "
        f"{summary['below_range'] + summary['above_range']:,} of them outside {low:g} to {high:g} Å. "
        "Pair: site-neighbour. First share: of the neighbours of the site's element; second: of the pair. "
        "Lengths in Å",
        soft_wrap=True,
    )
    rows: list[tuple[str, ...]] = []
    for pair in pairs[:SHOWN]:
        count = pair.sites if weight == "sites" else pair.atoms
        median = "" if pair.median is None else f"{pair.median:.3f}"
        first = (str(pair.pair), f"{count:,}", f"{100 * pair.share:.1f} %", median)
        for i, (peak, bond_type) in enumerate(pair.peaks):
            sizes = (f"{peak.position:.3f}", f"{peak.width:.3f}", f"{100 * peak.share:.1f} %")
            rows.append((*(("",) * 4 if i else first), *sizes, bond_type or ""))
        if not pair.peaks:
            rows.append((*first, "", "", "", ""))
    columns = ("pair", weight, "share", "median", "peak", "FWHM", "share", "bond type")
    show_table(columns, "lrrrrrrl", rows)
    if len(pairs) > SHOWN:
        out.print(f"and {counted(len(pairs) - SHOWN, 'more pair')}")
