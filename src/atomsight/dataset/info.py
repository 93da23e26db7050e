"""What is inside a dataset, as plain values that print and serialise."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.compute as pc

from atomsight.core.elements import SYMBOLS
from atomsight.dataset.schema import SPLITS
from atomsight.dataset.store import Dataset


def describe(dataset: Dataset) -> dict[str, Any]:
    """Counts, settings and provenance of a dataset as a JSON-ready dict.

    ``elements`` maps symbols, most abundant first, to their sites in all and by split; ``flags`` and
    ``licences`` count crystals; ``skipped`` counts the crystals left out by rule; ``bytes`` is the size on
    disk.
    """
    index = dataset.metadata
    by_split = {split: dataset.element_counts(split) for split in SPLITS}
    crystals = dataset.crystals(["flags", "licence"])
    flags: Counter[str] = Counter()
    for record in pc.value_counts(pc.list_flatten(crystals.column("flags"))).to_pylist():
        flags[record["values"]] = record["counts"]
    licences = {r["values"]: r["counts"] for r in pc.value_counts(crystals.column("licence")).to_pylist()}
    return {
        "dataset": str(dataset.path),
        "schema": index["schema"],
        "k": dataset.k,
        "crystals": index["crystals"],
        "sites": index["sites"],
        "splits": {
            split: {"crystals": index["splits"][split]["crystals"], "sites": index["splits"][split]["sites"]}
            for split in SPLITS
        },
        "elements": {
            SYMBOLS[z]: {"sites": count, **{split: by_split[split].get(z, 0) for split in SPLITS}}
            for z, count in dataset.element_counts().items()
        },
        "skipped": dict(Counter(index["skipped"]).most_common()),
        "flags": dict(flags.most_common()),
        "licences": licences,
        "families": index["families"],
        "groups": index["groups"],
        "largest_group": index["largest_group"],
        "bytes": sum(record["bytes"] for record in index["files"].values()),
        "files": len(index["files"]),
        "build": index["build"],
        "fingerprint": index["fingerprint"],
    }
