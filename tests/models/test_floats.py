"""Denormal numbers taken as zero while a network runs, and only then."""

from __future__ import annotations

import platform
import sys
import threading

import numpy as np
import pytest

import atomsight
from atomsight.models.onnx.floats import flushed
from atomsight.web.uploads import EXAMPLES

TINY = np.array([1e-40], dtype=np.float32)


def kept() -> bool:
    """Whether this thread computes with denormal numbers."""
    return bool((TINY * np.float32(0.5))[0] != 0)


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="there it does nothing")
def test_only_within() -> None:
    assert kept()
    with flushed():
        assert not kept()
    assert kept()
    with pytest.raises(KeyError), flushed():
        raise KeyError
    assert kept()


@pytest.mark.parametrize("threads", [1, 2])
def test_models_leave_the_thread_as_it_was(threads: int) -> None:
    model = atomsight.load_model(threads=threads)
    assert kept()
    crystal = next(atomsight.read(EXAMPLES / "ibuprofen.cif"))
    next(model.predict(crystal))
    assert kept()
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(kept() and bool(list(model.predict(crystal)))))
    thread.start()
    thread.join()
    assert found == [True]
