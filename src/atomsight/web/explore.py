"""Tables of the view Explore: distances by pair of elements, confusion matrix of the model."""

from __future__ import annotations

from threading import Lock
from typing import Any

from atomsight.core.elements import NUMBERS
from atomsight.core.errors import InputError
from atomsight.web.checking import Resources
from atomsight.web.tables import distances_table, shipped


class Explorer:
    """Bundled tables, or those of a dataset, which are computed on first use.

    Args:
        resources: the dataset, if any.
    """

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self._table: dict[str, Any] | None = None
        self._lock = Lock()

    def _distances(self) -> dict[str, Any]:
        dataset = self.resources.dataset
        if dataset is None:
            return shipped("distances")
        with self._lock:
            if self._table is None:
                bonded = dataset.metadata.get("build", {}).get("bonds") == "perceive"
                self._table = distances_table(
                    dataset, list(dataset.element_counts()), bonded=dataset if bonded else None
                )
        return self._table

    def distances(self, centre: str) -> dict[str, Any]:
        """Return the histograms of an element.

        Raises:
            InputError: there are no histograms of it.
        """
        table = self._distances()
        centres = sorted({one["centre"] for one in table["histograms"]}, key=NUMBERS.__getitem__)
        if centre not in centres:
            raise InputError(f"no distances of {centre!r}; the elements are {', '.join(centres)}")
        dataset = self.resources.dataset
        name = "the training data of the bundled model" if dataset is None else dataset.path.name
        return {
            **{key: table[key] for key in ("low", "step", "ranks", "bond_crystals")},
            "source": f"{table['crystals']:,} crystals, {name}",
            "centres": centres,
            "histograms": [one for one in table["histograms"] if one["centre"] == centre],
            "bonds": [one for one in table["bonds"] if one["centre"] == centre],
        }

    def confusion(self) -> dict[str, Any]:
        """Return the confusion matrix."""
        return {key: value for key, value in shipped("confusion").items() if key != "examples"}

    def cell(self, true: str, predicted: str) -> dict[str, Any]:
        """Return example sites of one cell of the confusion matrix; none for cells on the diagonal.

        Raises:
            InputError: there is no such cell.
        """
        table = shipped("confusion")
        for symbol in (true, predicted):
            if symbol not in table["elements"]:
                raise InputError(f"{symbol!r} is not in the matrix")
        found: list[dict[str, Any]] = next(
            (e["sites"] for e in table["examples"] if (e["true"], e["predicted"]) == (true, predicted)), []
        )
        profiles = {symbol: self.resources.profile(symbol) for symbol in {true, predicted}}
        return {"true": true, "predicted": predicted, "examples": found, "profiles": profiles}
