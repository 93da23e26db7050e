"""Two small crystals, handled once in a new process so that compiled kernels are loaded before real work."""

from __future__ import annotations

from atomsight.io import Member

_CIF = """data_sample
_cell_length_a 5
_cell_length_b 5
_cell_length_c 5
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_space_group_symop_operation_xyz
{operations}
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

SAMPLE = tuple(
    Member("sample", "sample", _CIF.format(operations=operations).encode())
    for operations in ("'x, y, z'", "'x, y, z'\n'-x, -y, -z'")
)
