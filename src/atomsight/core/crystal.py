"""Crystal: the one in-memory form of a crystal structure.

Nothing here reads a file. `Crystal.from_ase` and `Crystal.from_pymatgen` load the reader of `atomsight.io`
by its name when they are called, since `core` imports no other package.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import SYMBOLS, hill_formula, reduced_counts
from atomsight.core.optional import optional
from atomsight.core.wording import counted

BOND_TYPES: tuple[str, ...] = tuple("unknown single double triple quadruple aromatic delocalised pi".split())
"""Types of bonds of the Cambridge Structural Database; `Bonds.types` holds indices of this tuple."""


@dataclass(frozen=True, eq=False)
class Bonds:
    """The bonds of every symmetry-unique site, in the order of sites.

    Each site lists all its bonded neighbours, so that a bond between two sites appears under both. All arrays
    have one entry per listed neighbour.

    Attributes:
        sites: (b,) uint32, the site that the bond is listed for, ascending; its position is that of its first
            atom in the motif.
        atoms: (b,) int32, the atom of the motif at the other end.
        images: (b, 3) int32, the cell of that atom.
        lengths: (b,) float64, Å, from the coordinates.
        types: (b,) uint8, indices of `BOND_TYPES`.
    """

    sites: NDArray[np.uint32]
    atoms: NDArray[np.int32]
    images: NDArray[np.int32]
    lengths: NDArray[np.float64]
    types: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.sites)


class ListedBonds(ABC):
    """Bonds that a file lists, in a form that is read on first access."""

    @abstractmethod
    def read(self, crystal: Crystal) -> tuple[Bonds | None, frozenset[str]]:
        """Read the bonds.

        Args:
            crystal: the crystal that they belong to.

        Returns:
            The bonds, None where there are none, and flags that describe the reading.
        """


class _BondsField:
    """The field `Crystal.bonds`: reads `ListedBonds` on first access."""

    def __get__(self, crystal: Crystal | None, owner: type) -> Bonds | None:
        if crystal is None:
            return None
        held = crystal.__dict__
        listed = held["bonds"]
        if isinstance(listed, ListedBonds):
            found, flags = listed.read(crystal)
            held["flags"] |= flags
            held["bonds"] = found
        bonds: Bonds | None = held["bonds"]
        return bonds

    def __set__(self, crystal: Crystal, bonds: Bonds | ListedBonds | None) -> None:
        crystal.__dict__["bonds"] = bonds


class _FlagsField:
    """The field `Crystal.flags`: complete once the bonds have been read."""

    def __get__(self, crystal: Crystal | None, owner: type) -> frozenset[str]:
        if crystal is None:
            return frozenset()
        _ = crystal.bonds
        flags: frozenset[str] = crystal.__dict__["flags"]
        return flags

    def __set__(self, crystal: Crystal, flags: frozenset[str]) -> None:
        crystal.__dict__["flags"] = flags


T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Crystal:
    """A periodic point set with an element on every point, and its symmetry-unique sites.

    The motif holds all atoms of one unit cell. Atoms that symmetry maps onto each other form one orbit, and
    an orbit is one *site*: everything is computed and counted once per site.

    Attributes:
        name: stable id: COD number, CSD refcode or file name, with ``/block`` where a file holds several
            blocks.
        lattice: (3, 3) float64, rows are the cell vectors, Å.
        fractional: (n, 3) float64, positions of all n atoms of the motif in units of the lattice rows, in
            [0, 1).
        numbers: (n,) uint8, atomic number of each atom of the motif (D counts as H: 1).
        orbits: (n,) int32, the site (0 .. m - 1) that each atom of the motif belongs to. Sites are numbered
            in the order in which their first atom appears in the motif.
        labels: m strings, the label of each site in the file.
        source: where it came from: ``path``, ``archive::member``, with ``#block`` after it where a file
            holds several.
        space_group: Hermann-Mauguin symbol as the file or the symmetry search gives it; None where unknown.
        formula_sum: what the file states in ``_chemical_formula_sum``; None where it states nothing.
        flags: words that describe the reading, see `atomsight.io.policy`; ``from_p1`` where the orbits were
            found from the geometry, ``missing_hydrogen`` where the formula states more hydrogens than the
            sites hold.
        bonds: the bonds that the file lists, read on first access; None where it lists none.
            `atomsight.geometry.bonds` finds the others.
    """

    name: str
    lattice: NDArray[np.float64]
    fractional: NDArray[np.float64]
    numbers: NDArray[np.uint8]
    orbits: NDArray[np.int32]
    labels: Sequence[str]
    source: str = ""
    space_group: str | None = None
    formula_sum: str | None = None
    flags: _FlagsField = _FlagsField()
    bonds: _BondsField = _BondsField()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a pickle, without cached values."""
        return {name: value for name, value in self.__dict__.items() if name != "_cache"}

    def cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Compute a value once for this object.

        Args:
            key: identifies the value; no other caller uses it.
            compute: depends on the crystal and the key alone. The result is shared: do not change it.

        Returns:
            The value.
        """
        cache: dict[Hashable, T] = self.__dict__.setdefault("_cache", {})
        if key not in cache:
            cache[key] = compute()
        return cache[key]

    def forget(self) -> None:
        """Free the memory of the values that `cached` keeps."""
        self.__dict__.pop("_cache", None)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the motif (one unit cell)."""
        return len(self.numbers)

    @property
    def n_sites(self) -> int:
        """Number of symmetry-unique sites."""
        return len(self.labels)

    @cached_property
    def representatives(self) -> NDArray[np.int64]:
        """(m,) int64: for each site, the index of its first atom in the motif."""
        # Sites are numbered by their first atoms: a site begins where the running maximum rises.
        return np.diff(np.maximum.accumulate(self.orbits), prepend=-1).nonzero()[0]

    @cached_property
    def multiplicities(self) -> NDArray[np.int64]:
        """(m,) int64: for each site, how many copies of it the cell holds."""
        return np.bincount(self.orbits, minlength=self.n_sites)

    @property
    def site_numbers(self) -> NDArray[np.uint8]:
        """(m,) uint8: atomic number of each site."""
        return self.numbers[self.representatives]

    @cached_property
    def counts(self) -> dict[str, int]:
        """Atoms of each element in the cell, by symbol."""
        held = np.bincount(self.numbers)
        kinds = held.nonzero()[0]
        return {SYMBOLS[z]: n for z, n in zip(kinds.tolist(), held[kinds].tolist(), strict=True)}

    @property
    def formula(self) -> str:
        """Reduced formula of the sites in Hill order, e.g. ``CH`` for benzene, ``ClNa`` for rock salt."""
        return hill_formula(reduced_counts(self.counts))

    @property
    def volume(self) -> float:
        """Cell volume, Å³."""
        return float(abs(np.linalg.det(self.lattice)))

    def __repr__(self) -> str:
        group = f", {self.space_group}" if self.space_group else ""
        size = f"{counted(self.n_atoms, 'atom')} on {counted(self.n_sites, 'site')}"
        return f"<Crystal {self.name}: {self.formula}, {size}{group}>"

    @classmethod
    def from_ase(cls, atoms: Any) -> Self:
        """Convert an `ase.Atoms`.

        Args:
            atoms: periodic in three directions; its name is taken from ``atoms.info``.

        Returns:
            The crystal; its sites are found from the geometry.

        Raises:
            UnreadableError: the atoms are no crystal that `atomsight.read` accepts.

        Example:
            >>> from ase.build import bulk
            >>> Crystal.from_ase(bulk("NaCl", "rocksalt", a=5.64))
            <Crystal object-0: ClNa, 2 atoms on 2 sites>
        """
        return cls._from_object(atoms)

    @classmethod
    def from_pymatgen(cls, structure: Any) -> Self:
        """Convert a `pymatgen.core.Structure`.

        Args:
            structure: ordered or disordered; its name is taken from ``structure.properties``.

        Returns:
            The crystal; its sites are found from the geometry.

        Raises:
            UnreadableError: the structure is no crystal that `atomsight.read` accepts.

        Example:
            >>> from pymatgen.core import Lattice, Structure
            >>> Crystal.from_pymatgen(Structure(Lattice.cubic(2.9), ["Fe", "Fe"], [[0, 0, 0], [0.5] * 3]))
            <Crystal object-0: Fe, 2 atoms on 1 site>
        """
        return cls._from_object(structure)

    @classmethod
    def _from_object(cls, item: Any) -> Self:
        crystal: Self = import_module("atomsight.io.objects").crystal_from(item)
        return crystal

    def to_ase(self) -> Any:
        """Convert to an `ase.Atoms` of all atoms of the cell, in the order of the motif.

        Returns:
            The atoms; ``info["name"]`` is the crystal's name. The labels and the symmetry are left out.

        Raises:
            MissingExtraError: ASE is not installed.

        Example:
            >>> next(atomsight.read("examples/paracetamol.cif")).to_ase()  # doctest: +SKIP
        """
        ase = optional("ase", "interop", "conversion to ase.Atoms")
        return ase.Atoms(
            numbers=self.numbers,
            scaled_positions=self.fractional,
            cell=self.lattice,
            pbc=True,
            info={"name": self.name},
        )

    def to_pymatgen(self) -> Any:
        """Convert to a `pymatgen.core.Structure` of all atoms of the cell, in the order of the motif.

        Returns:
            The structure; each atom has the label of its site, ``properties["name"]`` is the crystal's name.

        Raises:
            MissingExtraError: pymatgen is not installed.

        Example:
            >>> next(atomsight.read("examples/paracetamol.cif")).to_pymatgen()  # doctest: +SKIP
        """
        core = optional("pymatgen.core", "interop", "conversion to a pymatgen Structure")
        return core.Structure(
            self.lattice,
            [SYMBOLS[number] for number in self.numbers],
            self.fractional,
            labels=[self.labels[site] for site in self.orbits],
            properties={"name": self.name},
        )

    def to_cif(self) -> str:
        """Convert to the text of a CIF that lists all atoms of the cell, in the space group P 1.

        The first atom of a site has the label of the site. The others have a number after it, so that every
        label occurs once.

        Returns:
            One data block. Reading it gives the same atoms; the sites are found from the geometry.

        Example:
            >>> text = next(atomsight.read("examples/paracetamol.cif")).to_cif()  # doctest: +SKIP
        """
        import gemmi

        block = gemmi.cif.Block(
            "".join(c if c.isalnum() or c in "-_." else "_" for c in self.name) or "crystal"
        )
        lengths = np.linalg.norm(self.lattice, axis=1)
        cosines = (self.lattice @ self.lattice.T) / np.outer(lengths, lengths)
        angles = np.degrees(np.arccos(cosines[[1, 0, 0], [2, 2, 1]]))
        for name, length in zip("abc", lengths.tolist(), strict=True):
            block.set_pair(f"_cell_length_{name}", f"{length:.10g}")
        for name, angle in zip(("alpha", "beta", "gamma"), angles.tolist(), strict=True):
            block.set_pair(f"_cell_angle_{name}", f"{angle:.10g}")
        block.set_pair("_space_group_name_H-M_alt", "'P 1'")
        block.init_loop("_space_group_symop_", ["operation_xyz"]).add_row(["'x, y, z'"])
        loop = block.init_loop("_atom_site_", ["label", "type_symbol", "fract_x", "fract_y", "fract_z"])
        labels = list(self.labels)
        used = set(labels)
        first = set(self.representatives.tolist())
        copies = [1] * self.n_sites
        for atom, (site, number, place) in enumerate(
            zip(self.orbits.tolist(), self.numbers.tolist(), self.fractional.tolist(), strict=True)
        ):
            label = labels[site]
            while atom not in first and label in used:
                copies[site] += 1
                label = f"{labels[site]}_{copies[site]}"
            used.add(label)
            loop.add_row([gemmi.cif.quote(label), SYMBOLS[number], *(f"{value:.10f}" for value in place)])
        return block.as_string()
