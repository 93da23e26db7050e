from __future__ import annotations

from threading import Thread

import numpy as np
import pytest
from atomsight.neighbours._output import HUGE_PAGE, KEPT, WORTH_IT, room

from atomsight.neighbours import _output


@pytest.mark.parametrize("rows", [0, 3, WORTH_IT // 80 - 1, WORTH_IT // 80 + 1, 700_000])
@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int32])
def test_room_is_an_ordinary_array(rows: int, dtype: type) -> None:
    array = room((rows, 10), dtype)
    assert array.shape == (rows, 10)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.aligned
    array[:] = 7
    assert (array == 7).all()


def test_large_results_start_on_a_huge_page() -> None:
    assert room((WORTH_IT,), np.int32).ctypes.data % HUGE_PAGE == 0


def test_memory_of_a_result_that_has_gone_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_output, "_kept", [])
    one = room((WORTH_IT,), np.int32)
    place, part = one.ctypes.data, one[5:9]
    other = room((WORTH_IT,), np.int32)
    assert other.ctypes.data != place, "nobody writes into a result that is there"
    del one
    another = room((WORTH_IT,), np.int32)
    assert another.ctypes.data != place, "a part of it is still looked at"
    del part
    smaller = room((WORTH_IT - 100,), np.float32)
    assert smaller.ctypes.data == place
    assert smaller.shape == (WORTH_IT - 100,)
    assert room((WORTH_IT // 4,), np.int32).ctypes.data != place


def test_what_is_kept_is_bounded() -> None:
    held = [room((KEPT // 32,), np.uint8) for _ in range(40)]
    del held
    assert sum(block.size for block in _output._kept) <= KEPT
    before = len(_output._kept)
    del_at_once = room((KEPT + 1,), np.uint8)
    del del_at_once
    assert len(_output._kept) == before


def test_threads_get_blocks_of_their_own() -> None:
    clashes = []

    def work(mark: int) -> None:
        for _ in range(200):
            array = room((WORTH_IT,), np.uint8)
            array[:4096] = mark
            if not (array[:4096] == mark).all():
                clashes.append(mark)

    threads = [Thread(target=work, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes
