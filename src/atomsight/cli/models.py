"""``atomsight models``: the models that come with atomsight."""

from __future__ import annotations

from typing import Annotated

import typer

from atomsight.cli._output import emit, finish, out

EPILOG = "Example: [bold]atomsight models[/]"


def models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per model.")] = False,
) -> None:
    """List the bundled models: kind, k, elements, and how good they are on crystals never seen."""
    from rich.table import Table

    from atomsight.core.elements import SYMBOLS
    from atomsight.models import bundled_models, load_model
    from atomsight.models.load import DEFAULT, PRETRAINED

    table = Table("model", "kind", "k", "elements", "test accuracy", "macro recall", box=None, pad_edge=False)
    names = bundled_models()
    for name in names:
        model = load_model(name, threads=1)
        test = model.metadata.get("test") or {}
        if as_json:
            emit(
                {
                    "model": name,
                    "default": name == DEFAULT,
                    "kind": model.kind,
                    "k": model.k,
                    "elements": [SYMBOLS[z] for z in model.elements],
                    "licence": model.metadata.get("licence"),
                    "test": test or None,
                    "card": str(PRETRAINED / f"{name}.md"),
                }
            )
        else:
            scores = [
                f"{100 * test[key]:.1f} %" if key in test else "" for key in ("accuracy", "macro_recall")
            ]
            label = f"{name} (default)" if name == DEFAULT else name
            table.add_row(label, model.kind, str(model.k), str(len(model.elements)), *scores)
    if not as_json:
        out.print(table if names else "no model is bundled")
    finish(len(names))
