"""What a build holds of its staged parts at the end."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from atomsight.dataset.staging import owned


def test_rows_that_wait_to_be_written_do_not_keep_the_mapped_file(tmp_path: Path) -> None:
    table = pa.table({"rule": ["density"], "flags": [["from_p1"]]})
    with pa.OSFile(str(tmp_path / "part"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    mapped = pa.memory_map(str(tmp_path / "part")).read_buffer()
    first, last = mapped.address, mapped.address + mapped.size

    def within(found: pa.Table) -> bool:
        buffers = [b for column in found.columns for chunk in column.chunks for b in chunk.buffers() if b]
        return any(first <= buffer.address < last for buffer in buffers)

    read = pa.ipc.open_stream(mapped).read_all()
    assert within(read)
    assert not within(owned(read))
    assert owned(read).equals(read)
    assert len(owned(read.slice(0, 0))) == 0
