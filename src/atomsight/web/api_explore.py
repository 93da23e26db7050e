"""Routes of the view Explore."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from atomsight.web import shapes
from atomsight.web.explore import Explorer
from atomsight.web.state import State, get_state

router = APIRouter(prefix="/api/explore", tags=["explore"], responses=shapes.PROBLEMS)

Symbol = Annotated[str, Path(max_length=3)]


def find_explorer(state: Annotated[State, Depends(get_state)]) -> Explorer:
    """Return the tables of the server."""
    return state.explorer


Tables = Annotated[Explorer, Depends(find_explorer)]


@router.get("/distances/{centre}", response_model=shapes.Distances)
def distances(tables: Tables, centre: Symbol) -> dict[str, Any]:
    """Return histograms of the n-th neighbour distances of an element, and of its bonds by type."""
    return tables.distances(centre)


@router.get("/confusion", response_model=shapes.Confusion)
def confusion(tables: Tables) -> dict[str, Any]:
    """Return the confusion matrix of the bundled model on the test split."""
    return tables.confusion()


@router.get("/confusion/{true}/{predicted}", response_model=shapes.ConfusionCell)
def cell(tables: Tables, true: Symbol, predicted: Symbol) -> dict[str, Any]:
    """Return example sites of one cell of the matrix with their distances."""
    return tables.cell(true, predicted)
