"""The one table: names, types and version of every column that the dataset holds.

Three tables make a dataset: ``sites`` (one row per symmetry-unique site, the rows of a crystal contiguous and
in one shard), ``crystals`` (one row per crystal) and ``skipped`` (one row per crystal left out, with the
reason). All are Parquet; name and version of the schema, k and the build's settings are in the metadata of
every file.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_NAME = "atomsight-sites"
SCHEMA_VERSION = 2

SPLITS: tuple[str, ...] = ("train", "val", "test")

INDEX_NAME = "dataset.json"
"""The file that makes a folder a dataset: metadata, counts, and the checksum of every other file. Written
last."""

MANIFEST_NAME = "build.json"
"""Settings of an unfinished build; gone once the build is done."""

ROW_GROUP_ROWS = 32_768
"""Rows of a row group, the unit in which the sites are read and shuffled."""

BOND = pa.struct([("site", pa.uint32()), ("length", pa.float32()), ("type", pa.string())])


def sites_schema(k: int) -> pa.Schema:
    """Schema of the ``sites`` table for k neighbours.

    ``distances``, ``neighbours`` and ``neighbour_elements`` are fixed-size lists of length k: the k-NN
    distances in Å ascending, the ``site`` of the orbit that each neighbour belongs to, and the neighbours'
    atomic numbers. ``directions`` are the unit vectors towards them, x, y and z of the first and so on, times
    127 and rounded (`atomsight.geometry.neighbours.directions`).
    """
    return pa.schema(
        [
            ("crystal", pa.string()),
            ("site", pa.uint32()),
            ("label", pa.string()),
            ("element", pa.uint8()),
            ("multiplicity", pa.uint16()),
            ("distances", pa.list_(pa.float32(), k)),
            ("neighbours", pa.list_(pa.uint32(), k)),
            ("neighbour_elements", pa.list_(pa.uint8(), k)),
            ("directions", pa.list_(pa.int8(), 3 * k)),
            ("bonds", pa.list_(BOND)),
            ("split", pa.dictionary(pa.int8(), pa.string())),
        ]
    )


CELL = ("a", "b", "c", "alpha", "beta", "gamma")

CRYSTALS_SCHEMA = pa.schema(
    [
        ("crystal", pa.string()),
        ("source", pa.string()),
        ("licence", pa.string()),
        ("formula", pa.string()),
        ("family", pa.string()),
        ("group", pa.string()),
        ("split", pa.dictionary(pa.int8(), pa.string())),
        ("lattice", pa.list_(pa.float64(), 9)),
        *((name, pa.float32()) for name in (*CELL, "volume")),
        ("space_group", pa.string()),
        ("n_sites", pa.uint32()),
        ("n_atoms", pa.uint32()),
        ("flags", pa.list_(pa.string())),
        ("sha256", pa.string()),
    ]
)
"""``formula`` is reduced, in Hill order; ``family`` is what redeterminations of one compound share (the
letters of a CSD refcode, a COD number, an mp-id); ``group`` is the name of the connected component that
decides the split; ``lattice`` holds the three row vectors one after another, Å; ``sha256`` is that of the
file."""

SKIPPED_SCHEMA = pa.schema([("source", pa.string()), ("rule", pa.string()), ("reason", pa.string())])
"""``rule`` is a short stable word to count by (see ``readers/quality.py``), ``reason`` the whole sentence."""
