"""Release a trained model: weights that carry their own figures, and the card that lies beside them.

    python -m workshop.release RUN EVALUATION --name NAME --data TEXT --credit TEXT --licence TEXT

``RUN`` is a finished run folder, ``EVALUATION`` what ``atomsight evaluate`` wrote about it on the test split
(``--out``).
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError, ModelError
from atomsight.core.files import write_text
from atomsight.models.load import MODEL_FILE, PRETRAINED, load_model
from atomsight.training.export import add_metadata
from atomsight.training.run_folder import run_origin

FIGURES = {
    "crystals": "crystals",
    "sites_evaluated": "sites",
    "accuracy": "accuracy",
    "accuracy_standard_error": "its standard error over groups of crystals",
    "macro_recall": "macro recall",
    "top3_accuracy": "top-3 accuracy",
    "log_loss": "log loss, nats",
    "expected_calibration_error": "expected calibration error",
    "coverage_at_99_percent_accuracy": "share of sites answered at 99 % accuracy",
}
"""What a model file and a card tell of the test split, by its name in ``summary.json``."""


def release(
    run: Path,
    evaluation: Path,
    name: str,
    *,
    data: str,
    credit: list[str],
    licence: str,
    out: Path = PRETRAINED,
) -> tuple[Path, Path]:
    """Write ``<name>.onnx`` and ``<name>.md``.

    Args:
        run: a finished run folder.
        evaluation: what ``atomsight evaluate`` wrote about the run on the test split.
        name: of the model.
        data: a sentence on what it was trained on.
        credit: the sources of the data, each with its licence.
        licence: of the weights.
        out: folder for both files.

    Returns:
        The two paths.

    Raises:
        ModelError: the run has not ended.
        InputError: the evaluation is of another split than test, or of crystals that the model has learnt
            from.
    """
    model = load_model(run, threads=1)
    summary = json.loads((evaluation / "summary.json").read_text(encoding="utf-8"))
    if summary["split"] != "test":
        raise InputError(f"{evaluation} is about the split {summary['split']}; a card tells of test")
    if summary.get("crystals_seen_in_training") != 0:
        raise InputError(
            f"{evaluation} holds crystals that the model has learnt from, or does not know whether"
        )
    if summary["k"] != model.k or summary["elements"] != len(model.elements):
        raise InputError(f"{evaluation} is about another model than {run}")
    with (evaluation / "per_element.csv").open(encoding="utf-8", newline="") as file:
        elements = list(csv.DictReader(file))
    test = {key: summary[key] for key in FIGURES}
    weights, card = out / f"{name}.onnx", out / f"{name}.md"
    add_metadata(
        run / MODEL_FILE,
        weights,
        {"name": name, "test": test, "licence": licence, "trained_on": data, "credit": credit},
    )
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    looks = "distances and directions" if "directions" in model.columns else "distances"
    write_text(
        card,
        _card(
            name,
            looks,
            model.metadata,
            model.elements,
            result,
            test,
            elements,
            data,
            credit,
            licence,
            run_origin(run, "average_of")[1],
        ),
    )
    return weights, card


def _card(
    name: str,
    looks: str,
    metadata: dict[str, Any],
    numbers: tuple[int, ...],
    result: dict[str, Any],
    test: dict[str, Any],
    elements: list[dict[str, str]],
    data: str,
    credit: list[str],
    licence: str,
    parts: list[dict[str, str]] | None,
) -> str:
    settings = metadata["settings"]
    symbols = " ".join(SYMBOLS[z] for z in numbers)
    chosen = ", ".join(f"{key} {value}" for key, value in settings.items() if value is not None)
    trained = metadata["data"]
    val = result["val"]
    if "isotypes_beside" in metadata:
        beside = metadata["isotypes_beside"]
        made = (
            f"The network of `{beside['model']}` (temperature {result['temperature']:.3f}) beside "
            f"{beside['crystals']:,} of its train crystals without carbon as isotypes, by\n"
            "`python -m workshop.isotypes`. On val the network alone has an expected "
            f"calibration error of {_figure(val['calibration_error_of_the_network'])} and a log loss of "
            f"{_figure(val['log_loss_of_the_network'])}, with them\n{_figure(val['calibration_error'])} and "
            f"{_figure(val['log_loss'])}."
        )
    else:
        epochs = ", ".join(f"{stage} {n}" for stage, n in result["epochs"].items())
        made = (
            f"`atomsight train` of version {metadata['atomsight']} with {chosen}.\n\n"
            f"Epochs: {epochs}; the one best on val was kept."
        )
        if parts:
            names = " and ".join(f"`{part['model']}`" for part in parts)
            made = f"The mean of the weights of {names}, by `python -m atomsight.training.average`."
        made += (
            f" Temperature {result['temperature']:.3f}, fitted on val:\n"
            f"expected calibration error there {_figure(val['calibration_error_uncalibrated'])} before,\n"
            f"{_figure(val['calibration_error'])} after; log loss {_figure(val['log_loss_uncalibrated'])} "
            f"before,\n{_figure(val['log_loss'])} after."
        )
    splits = ", ".join(f"{split} {n:,}" for split, n in sorted(trained["crystals"].items()))
    figures = "\n".join(f"| {text} | {_figure(test[key])} |" for key, text in FIGURES.items())
    rows = "\n".join(
        f"| {row['element']} | {int(row['sites']):,} "
        f"| {_share(row['recall'])} | {_share(row['precision'])} | "
        f"{row['taken_for']} {_share(row['taken_for_share'])} |"
        for row in elements
        if int(row["sites"])
    )
    credits = "\n".join(f"- {line}" for line in credit)
    return f"""# {name}

A {metadata["kind"]} model: from the {metadata["k"]} nearest-neighbour {looks} on, it says which of
{len(numbers)} elements sits on a site. Licence of the weights: {licence}.

Elements: {symbols}

## Trained on

{data}

{credits}

Crystals: {splits}; {trained["train_sites"]:,} train sites. Crystals that share a reduced formula or a family
are in one split. Dataset fingerprint `{trained["fingerprint"]}`.

## How

{made}

## How good, on the test split

| figure | value |
|---|---|
{figures}

A symmetry-unique site counts once. Macro recall is the mean of the recalls of the elements that are present.

| element | sites | recall | precision | most often taken for |
|---|---|---|---|---|
{rows}

## Limits

It sees geometry alone: elements of equal size and surroundings are told apart badly, and rare elements worse
than frequent ones. It answers with one of its elements even for a site of another. Structures unlike those it
was trained on, without hydrogens for one, get worse answers than these figures tell.
"""


def _figure(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _share(text: str) -> str:
    return f"{100 * float(text):.1f} %" if text else ""


def main() -> None:
    """The command of the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--data", required=True, help="a sentence on what it was trained on")
    parser.add_argument("--credit", action="append", default=[], help="a source with its licence; repeat it")
    parser.add_argument("--licence", required=True)
    parser.add_argument("--out", type=Path, default=PRETRAINED)
    options = vars(parser.parse_args())
    try:
        for path in release(options.pop("run"), options.pop("evaluation"), options.pop("name"), **options):
            print(path)
    except (InputError, ModelError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
