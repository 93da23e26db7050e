"""Reading the files of an evaluation: its summary and its misclassified sites."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import NUMBERS
from atomsight.core.errors import DatasetError, InputError
from atomsight.core.files import cell_text

if TYPE_CHECKING:
    from atomsight.dataset import Dataset


@dataclass(frozen=True)
class MistakeTable:
    """The misclassified sites of an evaluation, most confident first, in columns of length n.

    Attributes:
        model, split, k: Model and split of the evaluation, and the model's number of neighbours.
        crystal, site, label: Name of the crystal, index and label of the site.
        true, predicted: Atomic numbers.
        probability, probability_true: Probabilities of the predicted and of the true element.
    """

    model: str
    split: str
    k: int
    crystal: NDArray[np.object_]
    site: NDArray[np.uint32]
    label: NDArray[np.object_]
    true: NDArray[np.uint8]
    predicted: NDArray[np.uint8]
    probability: NDArray[np.float32]
    probability_true: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.site)

    def pairs(self) -> list[tuple[int, int, int]]:
        """Return (true, predicted, sites) of every pair of elements, most frequent first."""
        keys, counts = np.unique(self.true.astype(np.int64) * 256 + self.predicted, return_counts=True)
        order = np.lexsort((keys, -counts))
        return [(*divmod(int(keys[i]), 256), int(counts[i])) for i in order]


def read_mistakes(folder: Path, dataset: Dataset) -> MistakeTable:
    """Read the mistakes of an evaluation from the folder that ``atomsight evaluate --out`` wrote.

    Raises:
        InputError: The folder holds no evaluation, or one on another dataset.
        DatasetError: Its files are damaged.
    """
    import pyarrow as pa
    import pyarrow.csv

    for name in ("summary.json", "mistakes.csv"):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder} holds no {name}: name the folder that atomsight evaluate RUN DATASET --out wrote"
            )
    try:
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        model, split, k = summary["model"], summary["split"], int(summary["k"])
        types = dict.fromkeys(("crystal", "label", "true", "predicted"), pa.string())
        types |= {"site": pa.uint32(), "probability": pa.float32(), "probability_true": pa.float32()}
        options = pa.csv.ConvertOptions(column_types=types, include_columns=list(types))
        table = pa.csv.read_csv(folder / "mistakes.csv", convert_options=options)
        columns: dict[str, Any] = {name: table.column(name).to_numpy() for name in types}
        columns |= {name: _numbers(columns[name]) for name in ("true", "predicted")}
        for name in ("crystal", "label"):
            columns[name] = np.array([cell_text(value) for value in columns[name]], dtype=object)
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DatasetError(f"{folder} cannot be read ({error}); evaluate again") from error
    if summary.get("dataset_fingerprint") != dataset.fingerprint:
        raise InputError(
            f"{folder} is an evaluation on {summary.get('dataset')}, which is another dataset than "
            f"{dataset.path} or has changed since; name that dataset, or evaluate again"
        )
    return MistakeTable(model, split, k, **columns)


def _numbers(symbols: NDArray[np.object_]) -> NDArray[np.uint8]:
    known, inverse = np.unique(symbols.astype(str), return_inverse=True)
    return np.array([NUMBERS[str(symbol)] for symbol in known], dtype=np.uint8)[inverse]
