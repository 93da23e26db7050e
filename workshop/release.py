"""Release a trained model: weights with their own figures, and a model card.

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
from atomsight.models.base import Model
from atomsight.models.load import MODEL_FILE, PRETRAINED, load_model
from atomsight.training.model_file import add_metadata
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
"""Figures of the test split in a model file and a card, by their names in ``summary.json``."""


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
        raise InputError(f"{evaluation} is about the split {summary['split']}; a card states figures of test")
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
    parts = run_origin(run, "average_of")[1]
    write_text(card, _card(load_model(weights), result, elements, parts))
    return weights, card


def _card(
    model: Model, result: dict[str, Any], elements: list[dict[str, str]], parts: list[dict[str, str]] | None
) -> str:
    metadata = model.metadata
    symbols = " ".join(SYMBOLS[z] for z in model.elements)
    inputs = "distances and directions" if "directions" in model.columns else "distances"
    trained = metadata["data"]
    splits = ", ".join(f"{split} {n:,}" for split, n in sorted(trained["crystals"].items()))
    figures = "\n".join(f"| {text} | {_figure(metadata['test'][key])} |" for key, text in FIGURES.items())
    rows = "\n".join(
        f"| {row['element']} | {int(row['sites']):,} "
        f"| {_share(row['recall'])} | {_share(row['precision'])} | "
        f"{row['taken_for']} {_share(row['taken_for_share'])} |"
        for row in elements
        if int(row["sites"])
    )
    credits = "\n".join(f"- {line}" for line in metadata["credit"])
    return f"""# {metadata["name"]}

A {metadata["kind"]} model. It predicts which of {len(model.elements)} elements occupies each site of a
crystal, from the {inputs} to the {metadata["k"]} nearest neighbours.
Licence of the weights: {metadata["licence"]}.

Elements: {symbols}

## Training data

{metadata["trained_on"]}

{credits}

Crystals: {splits}; {trained["train_sites"]:,} train sites. Crystals that share a reduced formula or a family
are in one split. Dataset fingerprint `{trained["fingerprint"]}`.

## Training

{_training(metadata, result, parts)}

## Accuracy on the test split

| figure | value |
|---|---|
{figures}

Each symmetry-unique site counts once. Macro recall is the mean recall of the elements that are present.

| element | sites | recall | precision | most often predicted as |
|---|---|---|---|---|
{rows}

## Limits

The model uses geometry alone. Elements of equal size and coordination are often confused, rare elements more
than frequent ones. It always predicts one of its own elements, even for a site of another. Accuracy is lower
for structures unlike the training data, for example without hydrogens.
"""


def _training(metadata: dict[str, Any], result: dict[str, Any], parts: list[dict[str, str]] | None) -> str:
    """Return the section on the training."""
    val = {name: _figure(value) for name, value in result["val"].items()}
    temperature = f"{result['temperature']:.3f}"
    if "isotypes_beside" in metadata:
        isotypes = metadata["isotypes_beside"]
        return (
            f"The network of `{isotypes['model']}` (temperature {temperature}) with "
            f"{isotypes['crystals']:,} of its train crystals without carbon as isotypes, by\n"
            "`python -m workshop.isotypes`. On val the network alone has an expected calibration error of "
            f"{val['calibration_error_of_the_network']} and a log loss of {val['log_loss_of_the_network']}, "
            f"with them\n{val['calibration_error']} and {val['log_loss']}."
        )
    if parts:
        names = " and ".join(f"`{part['model']}`" for part in parts)
        made = f"The mean of the weights of {names}, by `python -m atomsight.training.average`."
    else:
        chosen = ", ".join(
            f"{key} {value}" for key, value in metadata["settings"].items() if value is not None
        )
        epochs = ", ".join(f"{stage} {n}" for stage, n in result["epochs"].items())
        made = (
            f"`atomsight train` of version {metadata['atomsight']} with {chosen}.\n\n"
            f"Epochs: {epochs}; the best one on val was kept."
        )
    return (
        f"{made} Temperature {temperature}, fitted on val:\n"
        f"expected calibration error on val {val['calibration_error_uncalibrated']} before,\n"
        f"{val['calibration_error']} after; log loss {val['log_loss_uncalibrated']} before,\n"
        f"{val['log_loss']} after."
    )


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
