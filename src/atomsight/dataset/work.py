"""What a worker does: one chunk of files in, the bytes of one staged part out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from atomsight.core.crystal import Crystal
from atomsight.dataset.bonds_column import BondSource
from atomsight.dataset.chunks import Chunk, Skip, rule_of
from atomsight.dataset.rows import ChunkRows, skipped_table
from atomsight.dataset.split import entry
from atomsight.io.policy import DEFAULT, QualityPolicy
from atomsight.parallel.sample import SAMPLE

HEADER = b"atomsight.chunk"
"""Key of the header in the metadata of a part's first table."""


@dataclass(frozen=True)
class Header:
    """What the build needs to know of a part without reading it.

    Attributes:
        fingerprint: that of the chunk it was made from.
        crystals, sites, skipped: rows of the three tables.
        entries: the entries (see `split.entry`) that gave at least one crystal.
    """

    fingerprint: str
    crystals: int
    sites: int
    skipped: int
    entries: tuple[str, ...]


def process(chunk: Chunk, k: int, policy: QualityPolicy, bonds: BondSource = "file") -> tuple[Header, bytes]:
    """Read a chunk's members, compute their neighbours, and lay the rows out as a part."""
    from atomsight.io import crystals_of

    rows = ChunkRows(k, bonds)
    skips = list(chunk.skips)

    def on_skip(source: str, reason: str) -> None:
        skips.append(Skip(source, rule_of(reason), str(reason)))

    read = []
    for member, digest in zip(chunk.members, chunk.digests, strict=True):
        crystals = crystals_of(member, policy, on_skip)
        for crystal in crystals:
            rows.add(crystal, digest)
        read.append((entry(member.name), [crystal.source for crystal in crystals]))
    rows.settle()
    for crystal, error in rows.failed:
        rule = "memory" if isinstance(error, MemoryError) else "failed"
        skips.append(Skip(crystal.source, rule, f"{type(error).__name__}: {error}"))
    failed = {crystal.source for crystal, _ in rows.failed}
    entries = [name for name, sources in read if name is not None and not failed.issuperset(sources)]

    table, sites = rows.crystals_table(), rows.sites()
    header = Header(chunk.fingerprint, len(table), len(sites), len(skips), tuple(entries))
    return header, encode(header, table, skipped_table(skips), sites)


def process_crystals(crystals: Sequence[Crystal], k: int, bonds: BondSource = "file") -> bytes:
    """A part made of crystals in memory."""
    rows = ChunkRows(k, bonds)
    for crystal in crystals:
        rows.add(crystal, "")
    rows.settle()
    for _, error in rows.failed:
        raise error
    table, sites = rows.crystals_table(), rows.sites()
    return encode(Header("", len(table), len(sites), 0, ()), table, skipped_table([]), sites)


def encode(header: Header, crystals: pa.Table, skipped: pa.Table, sites: pa.Table) -> bytes:
    """Bytes of a part: three Arrow streams in this order, the header in the metadata of the first.

    Not compressed: a part lives for minutes, and is read where it is mapped.
    """
    sink = pa.BufferOutputStream()
    crystals = crystals.replace_schema_metadata({HEADER: json.dumps(vars(header)).encode()})
    for table in (crystals, skipped, sites):
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    part: bytes = sink.getvalue().to_pybytes()
    return part


def decode_header(part: pa.Buffer | bytes) -> Header:
    """The header of a part."""
    values = json.loads(pa.ipc.open_stream(part).schema.metadata[HEADER])
    return Header(**{**values, "entries": tuple(values["entries"])})


def decode_crystals(part: pa.Buffer | bytes) -> pa.Table:
    """The crystals of a part, without reading the rest."""
    return pa.ipc.open_stream(part).read_all().replace_schema_metadata()


def decode(part: pa.Buffer | bytes) -> tuple[pa.Table, pa.Table, pa.Table]:
    """The tables of a part: crystals, skipped, sites."""
    reader = pa.BufferReader(part)
    crystals, skipped, sites = (pa.ipc.open_stream(reader).read_all() for _ in range(3))
    return crystals.replace_schema_metadata(), skipped, sites


def prepare() -> None:
    """Make a worker process ready: Arrow in one thread, imports done, kernels loaded."""
    pa.set_cpu_count(1)
    process(Chunk(0, SAMPLE, ("",) * len(SAMPLE), (), ""), 1, DEFAULT)
