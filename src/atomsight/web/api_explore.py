"""Routes of the view Explore: distances by pair of elements, confusion matrix of the model."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from atomsight.core.elements import NUMBERS
from atomsight.core.errors import InputError
from atomsight.web import shapes
from atomsight.web.state import State, get_state
from atomsight.web.tables import shipped

router = APIRouter(prefix="/api/explore", tags=["explore"], responses=shapes.PROBLEMS)

Symbol = Annotated[str, Path(max_length=3)]
TheState = Annotated[State, Depends(get_state)]


@router.get("/distances/{centre}", response_model=shapes.Distances)
def distances(state: TheState, centre: Symbol) -> dict[str, Any]:
    """Return histograms of the n-th neighbour distances of an element, and of its bonds by type."""
    table, dataset = state.resources.distances(), state.resources.dataset
    centres = sorted({one["centre"] for one in table["histograms"]}, key=NUMBERS.__getitem__)
    if centre not in centres:
        raise InputError(f"no distances of {centre!r}; the elements are {', '.join(centres)}")
    name = "the training data of the bundled model" if dataset is None else dataset.path.name
    chosen = {key: [e for e in table[key] if e["centre"] == centre] for key in ("histograms", "bonds")}
    source = f"{table['crystals']:,} crystals, {name}"
    return {**table, "source": source, "centres": centres, **chosen}


@router.get("/confusion", response_model=shapes.Confusion)
def confusion() -> dict[str, Any]:
    """Return the confusion matrix of the bundled model on the test split."""
    return shipped("confusion")


@router.get("/confusion/{true}/{predicted}", response_model=shapes.ConfusionCell)
def cell(state: TheState, true: Symbol, predicted: Symbol) -> dict[str, Any]:
    """Return example sites of one cell of the matrix with their distances."""
    table, symbols = shipped("confusion"), (true, predicted)
    for symbol in symbols:
        if symbol not in table["elements"]:
            raise InputError(f"{symbol!r} is not in the matrix")
    examples = (e["sites"] for e in table["examples"] if (e["true"], e["predicted"]) == symbols)
    profiles = {symbol: state.resources.profile(symbol) for symbol in set(symbols)}
    return {"true": true, "predicted": predicted, "examples": next(examples, []), "profiles": profiles}
