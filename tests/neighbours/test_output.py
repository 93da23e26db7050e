from __future__ import annotations

import numpy as np
import pytest

from atomsight.neighbours._output import HUGE_PAGE, WORTH_IT, room


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
