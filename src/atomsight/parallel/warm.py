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

from atomsight.neighbours import site_surroundings
from atomsight.readers import crystals_of, crystals_of_many
from atomsight.readers.member import Member

_P1_CELL = b"""data_warm
_cell_length_a 5
_cell_length_b 5
_cell_length_c 5
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_space_group_symop_operation_xyz
'x, y, z'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
C1 C 0 0 0
C2 C 0.5 0.5 0.5
O1 O 0.25 0.25 0.25
"""

_MEMBER = Member("warm", "warm", _P1_CELL)
for _, _crystals in crystals_of_many([_MEMBER]):
    for _crystal in [*_crystals, *crystals_of(_MEMBER)]:
        site_surroundings(_crystal, 1)
