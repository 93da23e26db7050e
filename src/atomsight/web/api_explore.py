"""Routes of the explore view."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from atomsight.web import shapes

router = APIRouter(prefix="/api/explore", tags=["explore"], responses=shapes.PROBLEMS)

Symbol = Annotated[str, Path(max_length=3)]


@router.get("/distances/{centre}", response_model=shapes.Distances)
def distances(request: Request, centre: Symbol) -> dict[str, Any]:
    """Histograms of the distances from an element to its n-th neighbours, and of its bonds by type."""
    found: dict[str, Any] = request.app.state.held.explorer.distances(centre)
    return found


@router.get("/confusion", response_model=shapes.Confusion)
def confusion(request: Request) -> dict[str, Any]:
    """The confusion matrix of the bundled model on crystals that it was not trained on."""
    found: dict[str, Any] = request.app.state.held.explorer.confusion()
    return found


@router.get("/confusion/{true}/{predicted}", response_model=shapes.ConfusionCell)
def cell(request: Request, true: Symbol, predicted: Symbol) -> dict[str, Any]:
    """Sites of one cell of the matrix, with their distances."""
    found: dict[str, Any] = request.app.state.held.explorer.cell(true, predicted)
    return found
