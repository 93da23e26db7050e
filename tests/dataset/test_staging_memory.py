"""What a build holds of its staged parts at the end."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from atomsight.dataset.staging import StagedParts, owned


def streams(path: Path, *tables: pa.Table) -> pa.Buffer:
    """A mapped file that holds tables one after another, as a staged part does."""
    with pa.OSFile(str(path), "wb") as sink:
        for table in tables:
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
    return pa.memory_map(str(path)).read_buffer()


def within(table: pa.Table, mapped: pa.Buffer) -> bool:
    """Whether a table has bytes in a mapped file."""
    buffers = [b for column in table.columns for chunk in column.chunks for b in chunk.buffers() if b]
    return any(mapped.address <= buffer.address < mapped.address + mapped.size for buffer in buffers)


def test_rows_that_wait_to_be_written_do_not_keep_the_mapped_file(tmp_path: Path) -> None:
    table = pa.table({"rule": ["density"], "flags": [["from_p1"]]})
    mapped = streams(tmp_path / "part", table)
    read = pa.ipc.open_stream(mapped).read_all()
    assert within(read, mapped)
    assert not within(owned(read), mapped)
    assert owned(read).equals(read)
    assert len(owned(read.slice(0, 0))) == 0


def test_staged_parts_give_their_small_tables_as_copies(tmp_path: Path) -> None:
    table = pa.table({"name": ["one", "two"]})
    mapped = streams(tmp_path / "part", table, table, table)

    class Mapped:
        def get(self, index: int) -> pa.Buffer:
            return mapped

    ((crystals, skipped, sites),) = StagedParts(Mapped(), 1).tables()  # type: ignore[arg-type]
    assert crystals.equals(table)
    assert not within(crystals, mapped)
    assert not within(skipped, mapped)
    assert within(sites, mapped), "the largest table is not copied"
