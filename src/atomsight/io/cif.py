"""CIF data blocks to crystals."""

from __future__ import annotations

import math

import gemmi
import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.io._atoms import has_atoms, read_atoms
from atomsight.io._operations import operations, space_group_name
from atomsight.io._syntax import parse, text_of
from atomsight.io.assemble import Structure, assemble, lattice_of
from atomsight.io.bond_tables import with_bond_table
from atomsight.io.member import Member, OnSkip
from atomsight.io.policy import DEFAULT, QualityPolicy, SkipError, reason_of

_CELL = (
    *("_cell_length_a", "_cell_length_b", "_cell_length_c"),
    *("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma"),
)


def crystals_of(
    member: Member, policy: QualityPolicy = DEFAULT, on_skip: OnSkip | None = None
) -> list[Crystal]:
    """One crystal for each data block with atoms; a block that cannot be used is reported, never raised.

    A crystal is named by its COD number where the block states one (``_cod_database_code``), else by the
    file's name without its suffix, with ``/block`` after it where the file holds several blocks with atoms.
    Its source gets ``#block`` in that case. Blocks without atoms are passed over, unless the file has no
    other.

    Args:
        member: the file, see `atomsight.io.sources.iter_members`.
        policy: what is accepted and mended.
        on_skip: receives ``(source, Reason)`` of each file or block that is left out.
    """
    report = on_skip or (lambda source, reason: None)
    try:
        document, repaired = parse(member.data)
        blocks = [block for block in document if has_atoms(block)]
        if not blocks:
            what = "no data block holds atoms" if len(document) else "the file holds no data block"
            raise SkipError("no_sites", what)
    except SkipError as error:
        report(member.source, error.reason)
        return []
    crystals = []
    for block in blocks:
        # In the text of several blocks each would be searched for from the beginning.
        several = len(blocks) > 1
        source = f"{member.source}#{block.name}" if several else member.source
        try:
            name = cod_number(block) or (f"{member.name}/{block.name}" if several else member.name)
            flags = frozenset({"repaired"}) if repaired else frozenset()
            crystals.append(crystal_of(block, name, source, policy, flags))
        except Exception as error:  # a bad block never stops a batch
            report(source, reason_of(error))
    return crystals


def cod_number(block: gemmi.cif.Block) -> str | None:
    """The entry's number in the Crystallography Open Database, seven digits."""
    code = text_of(block, "_cod_database_code")
    return code if code and code.isdigit() and len(code) == 7 else None


def crystal_of(
    block: gemmi.cif.Block,
    name: str,
    source: str,
    policy: QualityPolicy = DEFAULT,
    flags: frozenset[str] = frozenset(),
) -> Crystal:
    """The crystal of one data block.

    Raises:
        SkipError: the block is turned away; `reason` says by which rule.
    """
    lattice, angles = read_cell(block)
    table = read_atoms(block)
    structure = Structure(
        lattice,
        table,
        symmetry=lambda: operations(block, angles),
        space_group=space_group_name(block),
        formula_sum=text_of(block, "_chemical_formula_sum"),
        flags=flags,
    )
    assembled = assemble(structure, name, source, policy)
    return with_bond_table(assembled.crystal, block, assembled.table, assembled.rows)


def read_cell(block: gemmi.cif.Block) -> tuple[NDArray[np.float64], list[float]]:
    """The lattice, (3, 3) in Å, and the three angles, °.

    Raises:
        SkipError: ``no_cell`` where a parameter is missing, ``bad_cell`` where they close to no volume.
    """
    values = [_parameter(block, tag) for tag in _CELL]
    return lattice_of(values), values[3:]


def _parameter(block: gemmi.cif.Block, tag: str) -> float:
    text = block.find_value(tag)
    value = math.nan if text is None else gemmi.cif.as_number(text)
    if math.isnan(value):
        raise SkipError("no_cell", f"the cell parameter {tag} is missing")
    return value
