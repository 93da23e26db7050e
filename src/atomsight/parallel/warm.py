"""What the server of worker processes imports once, so that a worker starts in milliseconds.

Compiled kernels are loaded before the fork. Import this module in that server only.
"""

# ruff: noqa: E402  (the parent may end while the imports below are still running)

from __future__ import annotations

import os

from atomsight.parallel.worker import die_with_parent

_SERVER = os.getpid()


def _in_child() -> None:
    if os.getppid() == _SERVER:
        die_with_parent()


die_with_parent()
os.register_at_fork(after_in_child=_in_child)

from atomsight.geometry.neighbours import site_surroundings
from atomsight.io import crystals_of
from atomsight.parallel.sample import SAMPLE

for _member in SAMPLE:
    for _crystal in crystals_of(_member):
        site_surroundings(_crystal, 1)
