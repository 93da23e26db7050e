"""The verb ``predict``: the element of every site, from the distances alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from typer import Option

from atomsight.cli import options
from atomsight.cli._output import PRINTED, Skips, emit, err, finish, interruptible, out
from atomsight.cli.options import executor_of
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.models import Prediction
    from atomsight.models.composition.formula import FormulaFit

EPILOG = "Example: [bold]atomsight predict paracetamol.cif[/]"

MOST_IN_SET = 4
"""Maximum number of elements of a prediction set in the table."""


@interruptible(PRINTED)
def predict(
    paths: options.Sources,
    model: Annotated[
        str | None,
        Option(
            metavar="NAME|RUN",
            help="Name of a bundled model, run folder or .onnx file.",
            show_default="see atomsight models",
        ),
    ] = None,
    composition: Annotated[
        bool, Option("--composition", help="Constrain the prediction to the composition in the file.")
    ] = False,
    formula: Annotated[
        str | None,
        Option(
            metavar="FORMULA|stated",
            help="Constrain the prediction to this formula, or to the one stated in each file. Hydrogen or "
            "solvent atoms may be missing.",
        ),
    ] = None,
    top: Annotated[int, Option(help="Number of elements printed for each site.", min=1)] = 3,
    threads: options.Threads = 0,
    workers: options.Workers = 1,
    cluster: options.Cluster = None,
    max_seconds: options.MaxSeconds = None,
    max_memory: options.MaxMemory = None,
    as_json: options.AsJson = False,
) -> None:
    """Predict the element of every symmetry-unique site from the geometry alone.

    The elements in the file are used for comparison only. With --composition or --formula, the prediction has
    the counts of the composition, as closely as the sites allow, and probabilities refer to its elements. A
    prediction set contains the true element in 99 of 100 cases. JSON omits probabilities below 0.001.
    """
    from atomsight.models.predict import predict as predict_crystals

    handled = agreeing = sites = 0
    with executor_of(cluster, workers, max_seconds, max_memory) as executor:
        work = partial(predict_crystals, threads=threads, on_skip=Skips(as_json), executor=executor)
        for prediction in work(paths, model, composition=composition, formula=formula):
            handled += 1
            agreeing += int(prediction.agrees.sum())
            sites += prediction.crystal.n_sites
            if as_json:
                emit(prediction.as_dict())
            else:
                _show(prediction, top)
    if handled > 1 and not as_json:
        err.print(
            f"{counted(handled, 'crystal')}: {agreeing:,} of {counted(sites, 'site')} agree "
            f"({100 * agreeing / sites:.1f} %)"
        )
    finish(handled)


def _show(prediction: Prediction, top: int) -> None:
    """Print a crystal as aligned lines; a Rich table would take longer than the prediction."""
    from rich.text import Text

    from atomsight.core.elements import SYMBOLS

    crystal, agrees = prediction.crystal, prediction.agrees
    known = [z in prediction.elements for z in crystal.site_numbers.tolist()]
    width = max(4, *(len(label) for label in crystal.labels))
    sets = [] if prediction.members is None else [_format_set(members) for members in prediction.sets()]
    wide = max(3, *map(len, sets)) + 2 if sets else 0
    block = Text(f"{crystal.name}  {crystal.formula}\n", style="bold")
    block.append(
        f"{'site':{width}}  copies  element  predicted     {'set' if sets else '':{wide}}most probable\n",
        style="not bold dim",
    )
    for site, label in enumerate(crystal.labels):
        mark, style = ("✓", "green") if agrees[site] else ("✗", "red") if known[site] else ("?", "yellow")
        ranked = list(prediction.ranked(site).items())[:top]
        block.append(
            f"{label:{width}}  {crystal.multiplicities[site]:6}  {SYMBOLS[crystal.site_numbers[site]]:7}  "
            f"{SYMBOLS[prediction.predicted[site]]:9} {mark}   "
            + (f"{sets[site]:{wide}}" if sets else "")
            + "  ".join(f"{symbol:2} {p:.3f}" for symbol, p in ranked)
            + "\n",
            style=f"not bold {style}",
        )
    if prediction.fit is not None:
        block.append(f"{_format_fit(prediction.fit)}\n", style="not bold")
    block.append(f"sites agreeing {int(agrees.sum())}/{crystal.n_sites}\n", style="not bold")
    if not all(known):
        unknown = sorted(set(crystal.site_numbers.tolist()) - set(prediction.elements))
        names = ", ".join(SYMBOLS[z] for z in unknown)
        block.append(f"? the model does not know {names}\n", style="not bold yellow")
    out.print(block, soft_wrap=True)


def _format_set(members: tuple[str, ...]) -> str:
    """Format a prediction set as ``Zr Hf``; long sets end with the number of further elements."""
    shown = " ".join(members[:MOST_IN_SET])
    return shown if len(members) <= MOST_IN_SET else f"{shown} +{len(members) - MOST_IN_SET}"


def _format_fit(fit: FormulaFit) -> str:
    """Describe how the formula fits the cell."""
    text = f"{counted(fit.units, 'formula unit')} in the cell"
    if fit.missing:
        text += "; no site for " + ", ".join(f"{n} {symbol}" for symbol, n in fit.missing.items())
    if fit.extra_hydrogens:
        text += f"; {fit.extra_hydrogens} H beyond the formula"
    return text
