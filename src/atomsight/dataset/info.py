"""What is inside a dataset, as plain values that print and serialise."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from atomsight.core.elements import SYMBOLS
from atomsight.dataset.schema import SPLITS
from atomsight.dataset.store import Dataset, split_sizes


def describe(dataset: Dataset) -> dict[str, Any]:
    """Counts, settings and provenance of a dataset as a JSON-ready dict.

    ``elements`` maps symbols, most abundant first, to their sites in all and by split; ``flags`` and
    ``licences`` count crystals; ``skipped`` counts the crystals left out by rule; ``bytes`` is the size on
    disk.
    """
    index = dataset.metadata
    by_split = {split: dataset.element_counts(split) for split in SPLITS}
    crystals = dataset.crystals(["flags", "licence"])
    return {
        "dataset": str(dataset.path),
        "schema": index["schema"],
        "k": dataset.k,
        "crystals": index["crystals"],
        "sites": index["sites"],
        "splits": split_sizes(index),
        "elements": {
            SYMBOLS[z]: {"sites": count, **{split: by_split[split].get(z, 0) for split in SPLITS}}
            for z, count in dataset.element_counts().items()
        },
        "skipped": dict(Counter(index["skipped"]).most_common()),
        "flags": dict(Counter(_counts(pc.list_flatten(crystals.column("flags")))).most_common()),
        "licences": _counts(crystals.column("licence")),
        **{name: index[name] for name in ("families", "groups", "largest_group")},
        "bytes": sum(record["bytes"] for record in index["files"].values()),
        "files": len(index["files"]),
        "build": index["build"],
        "fingerprint": index["fingerprint"],
    }


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    return {record["values"]: record["counts"] for record in pc.value_counts(values).to_pylist()}
