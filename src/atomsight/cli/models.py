"""The verb ``models``: the bundled models."""

from __future__ import annotations

from atomsight.cli import options
from atomsight.cli._display import show_table
from atomsight.cli._output import emit, err, finish

EPILOG = "Example: [bold]atomsight models[/]"


def models(as_json: options.AsJson = False) -> None:
    """List the bundled models: architecture, k, elements, and accuracy on the test split."""
    from atomsight.core.elements import SYMBOLS
    from atomsight.models import bundled_models, load_model
    from atomsight.models.load import DEFAULT, PRETRAINED

    rows = []
    for name in bundled_models():
        model = load_model(name, threads=1)
        test = model.metadata.get("test") or {}
        if as_json:
            facts = {"model": name, "default": name == DEFAULT, "kind": model.kind, "k": model.k}
            licence = {"licence": model.metadata.get("licence")}
            known = {"elements": [SYMBOLS[z] for z in model.elements], **licence, "test": test or None}
            emit({**facts, **known, "card": str(PRETRAINED / f"{name}.md")})
        scores = [f"{100 * test[key]:.1f} %" if key in test else "" for key in ("accuracy", "macro_recall")]
        label = f"{name} (default)" if name == DEFAULT else name
        rows.append((label, model.kind, str(model.k), str(len(model.elements)), *scores))
    if not as_json and rows:
        columns = ("model", "architecture", "k", "elements", "test accuracy", "macro recall")
        show_table(columns, "llrrrr", rows)
    elif not rows:
        err.print("no model is bundled")
    finish(len(rows))
