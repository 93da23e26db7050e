"""The atom list of a CIF block as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomsight.io._elements import DEUTERIUM, atomic_numbers
from atomsight.io._tags import UNKNOWN, unquoted
from atomsight.io.policy import SkipError

_X = "_atom_site_fract_x"


@dataclass(frozen=True)
class AtomTable:
    """The rows of an atom list.

    Attributes:
        labels: n strings.
        numbers: (n,) uint8 atomic numbers.
        fractional: (n, 3) float64; NaN where the file gives none.
        occupancy: (n,) float64; 1 where the file gives none.
        groups, assemblies: n strings each, ``""`` for atoms outside disorder; None where no atom has one.
        deuterium: whether some H was given as D or T.
    """

    labels: Sequence[str]
    numbers: NDArray[np.uint8]
    fractional: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    groups: list[str] | None = None
    assemblies: list[str] | None = None
    deuterium: bool = False

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        elements: NDArray[np.int64],
        fractional: ArrayLike,
        occupancy: NDArray[np.float64],
        groups: list[str] | None = None,
        assemblies: list[str] | None = None,
    ) -> AtomTable:
        """Make a table of atomic numbers in which `DEUTERIUM` stands for D and T, which count as hydrogen."""
        numbers = elements.astype(np.uint8)
        heavy = numbers == DEUTERIUM
        numbers[heavy] = 1
        positions = np.ascontiguousarray(fractional, dtype=np.float64).reshape(-1, 3)
        return cls(labels, numbers, positions, occupancy, groups, assemblies, bool(heavy.any()))

    def __len__(self) -> int:
        return len(self.numbers)

    def labels_at(self, rows: NDArray[np.integer]) -> tuple[str, ...]:
        """The labels of some rows."""
        return tuple([self.labels[i] for i in rows.tolist()])

    def take(self, keep: NDArray[np.bool_]) -> AtomTable:
        """The rows where `keep` is true."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        return replace(
            self,
            labels=self.labels_at(rows),
            numbers=self.numbers[keep],
            fractional=self.fractional[keep],
            occupancy=self.occupancy[keep],
            groups=self.groups and [self.groups[i] for i in rows.tolist()],
            assemblies=self.assemblies and [self.assemblies[i] for i in rows.tolist()],
        )


def has_atoms(block: gemmi.cif.Block) -> bool:
    """Whether a block has an atom list, with coordinates of any kind or without."""
    return any(len(block.find_values(tag)) for tag in (_X, "_atom_site_label", "_atom_site_Cartn_x"))


def read_atoms(block: gemmi.cif.Block) -> AtomTable:
    """The atom list of a block, without its dummy atoms.

    Raises:
        SkipError: no fractional coordinates, or a symbol that is no element.
    """
    columns: dict[str, list[str]] = {}
    loop = block.find_loop(_X).get_loop()
    if loop is not None:
        # All values at once: a call of gemmi for each of them costs more than all that is done with it.
        values, width = loop.values, loop.width()
        columns = {tag.lower(): values[i::width] for i, tag in enumerate(loop.tags)}

    def column(name: str) -> list[str] | None:
        if columns:
            return columns.get(f"_atom_site_{name}")
        value = block.find_value(f"_atom_site_{name}")
        return None if value is None else [value]

    axes = [column("fract_x"), column("fract_y"), column("fract_z")]
    if any(axis is None for axis in axes):
        raise SkipError("missing_coordinates", "the atom list has no fractional coordinates")
    fractional = np.array([to_floats(axis) for axis in axes if axis is not None]).T
    n = len(fractional)
    symbols = column("type_symbol")
    labels = column("label") or symbols
    if labels is None:
        raise SkipError("unknown_element", "the atom list has neither labels nor type symbols")
    occupancies, flags = column("occupancy"), column("calc_flag")
    occupancy = np.ones(n) if occupancies is None else to_floats(occupancies)
    occupancy[np.isnan(occupancy)] = 1.0
    real = np.ones(n, bool) if flags is None else np.array([flag.lower() != "dum" for flag in flags])
    labels = unquoted(labels)
    elements = atomic_numbers(block, labels, symbols, real)
    groups, assemblies = _marks(column("disorder_group")), _marks(column("disorder_assembly"))
    return AtomTable.of(labels, elements, fractional, occupancy, groups, assemblies).take(real)


def to_floats(values: list[str]) -> NDArray[np.float64]:
    """(n,) float64 of CIF numbers without their uncertainty in parentheses; NaN for ``?``, ``.``, words."""
    try:
        return np.array(list(map(float, values)))
    except ValueError:
        return np.array(list(map(gemmi.cif.as_number, values)))


def _marks(values: list[str] | None) -> list[str] | None:
    """Disorder groups or assemblies, with ``""`` for none; group 0 is the ordered part in SHELX."""
    if values is None:
        return None
    marks = ["" if value in UNKNOWN or value == "0" else gemmi.cif.as_string(value) for value in values]
    return marks if any(marks) else None
