"""``atomsight predict``: the element of every site, from the distances alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomsight.cli._engine import Cluster, Workers, executor_for
from atomsight.cli._output import PRINTED, Skips, emit, err, finish, keeps, out
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.models import Prediction
    from atomsight.models.composition.formula import FormulaFit

EPILOG = "Example: [bold]atomsight predict paracetamol.cif[/]"

MOST_IN_SET = 4
"""Elements of a set that the table shows."""


@keeps(PRINTED)
def predict(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="CIFs, folders, tar or zip archives.")
    ],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|RUN", help="Bundled model, run folder or .onnx file.", show_default=False),
    ] = None,
    composition: Annotated[
        bool, typer.Option("--composition", help="Use the formula: the best assignment that obeys it.")
    ] = False,
    formula: Annotated[
        str | None,
        typer.Option(
            metavar="FORMULA|stated",
            help="Formula of every crystal, hydrogens or solvent may lack; stated: what each file states.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="Predictions shown for each site.", min=1)] = 3,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the network; 0 takes all cores.")] = 0,
    workers: Workers = 1,
    cluster: Cluster = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per crystal; probabilities of at least 0.001.")
    ] = False,
) -> None:
    """Predict which element sits on every symmetry-unique site, from geometry alone.

    The file's own elements are only compared with. With --composition their counts are used too: then the
    probabilities are among the formula's elements, and the prediction has the formula's counts. With
    --formula they are those of a formula from elsewhere, as nearly as the sites allow. A set holds the true
    element in 99 of 100 cases.
    """
    from atomsight.models.predict import predict as predictions_of

    skips = Skips(as_json)
    handled = agreeing = sites = 0
    with executor_for(cluster, workers) as executor:
        for prediction in predictions_of(
            paths,
            model,
            composition=composition,
            formula=formula,
            threads=threads,
            on_skip=skips,
            executor=executor,
        ):
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
    """One block of aligned lines a crystal; a table of Rich would cost more than reading and predicting."""
    from rich.text import Text

    from atomsight.core.elements import SYMBOLS

    crystal, agrees = prediction.crystal, prediction.agrees
    known = [z in prediction.elements for z in crystal.site_numbers.tolist()]
    width = max(4, *(len(label) for label in crystal.labels))
    sets = [] if prediction.members is None else [_shown(held) for held in prediction.sets()]
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
        block.append(f"{_laid(prediction.fit)}\n", style="not bold")
    block.append(f"sites agreeing {int(agrees.sum())}/{crystal.n_sites}\n", style="not bold")
    if not all(known):
        unknown = sorted(set(crystal.site_numbers.tolist()) - set(prediction.elements))
        names = ", ".join(SYMBOLS[z] for z in unknown)
        block.append(f"? the model does not know {names}\n", style="not bold yellow")
    out.print(block, soft_wrap=True)


def _shown(members: tuple[str, ...]) -> str:
    """A set in a few words: ``Zr Hf``, or its first elements and how many more there are."""
    shown = " ".join(members[:MOST_IN_SET])
    return shown if len(members) <= MOST_IN_SET else f"{shown} +{len(members) - MOST_IN_SET}"


def _laid(fit: FormulaFit) -> str:
    """How a formula fitted the cell."""
    text = f"{counted(fit.units, 'formula unit')} in the cell"
    if fit.missing:
        text += "; no site for " + ", ".join(f"{n} {symbol}" for symbol, n in fit.missing.items())
    if fit.extra_hydrogens:
        text += f"; {fit.extra_hydrogens} H beyond the formula"
    return text
