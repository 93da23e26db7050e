"""ASE: `Atoms` objects, databases (``.db``) and trajectories (``.traj``)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from atomsight.core.errors import MissingExtraError
from atomsight.core.optional import optional
from atomsight.io.assemble import Structure
from atomsight.io.budgets import Budget
from atomsight.io.formats import stem
from atomsight.io.member import Member, OnSkip
from atomsight.io.plain import encode, lattice_from, name_in, structure_of
from atomsight.io.policy import SkipError, reason_of


def structure_from(atoms: Any) -> Structure:
    """The structure of an `ase.Atoms`, all of its atoms taken as they are.

    Where it was read from a file with shared positions (``info["occupancy"]``), these are told apart again.

    Raises:
        SkipError: ``no_cell`` where it is not periodic in three directions, ``unknown_element`` for an X.
    """
    lattice = lattice_from(atoms.cell.array, atoms.pbc)
    fractional = np.linalg.solve(lattice.T, atoms.positions.T).T
    symbols = atoms.get_chemical_symbols()
    shares = atoms.info.get("occupancy")
    kinds = atoms.arrays.get("spacegroup_kinds")
    if not isinstance(shares, dict) or kinds is None:
        return structure_of(lattice, symbols, fractional)
    rows, held, occupancy = [], [], []
    for row, (symbol, kind) in enumerate(zip(symbols, kinds.tolist(), strict=True)):
        for element, share in (shares.get(str(kind)) or shares.get(kind) or {symbol: 1.0}).items():
            rows.append(row)
            held.append(element)
            occupancy.append(float(share))
    labels = [f"{symbol}{row + 1}" for symbol, row in zip(held, rows, strict=True)]
    return structure_of(lattice, held, fractional[rows], labels=labels, occupancy=occupancy)


def members_of(path: Path, report: OnSkip, budget: Budget) -> Iterator[Member]:
    """The rows of a database or the frames of a trajectory, one at a time.

    Raises:
        SkipError: ``damaged`` where ASE cannot read it to its end, ``too_many_frames``.
        MissingExtraError: ASE is not installed.
    """
    rows = _rows(path) if path.suffix.lower() == ".db" else _frames(path)
    base = stem(path.name)
    for place in count():
        try:
            number, name, atoms = next(rows)
        except StopIteration:
            return
        except (SkipError, MissingExtraError, MemoryError):
            raise
        except Exception as error:  # a damaged file raises whatever its decoder meets first
            text = f"ASE cannot read it to its end ({type(error).__name__}: {error})"
            raise SkipError("damaged", text) from None
        if place == budget.max_frames:
            raise SkipError("too_many_frames", f"more than {place} structures")
        source = f"{path}#{number}"
        try:
            yield Member(name or f"{base}/{number}", source, encode(structure_from(atoms)), "plain")
        except Exception as error:  # a bad row never stops the others
            report(source, reason_of(error))


def _rows(path: Path) -> Iterator[tuple[int, str, Any]]:
    # ASE makes tables in a file that has none; a database of another program must stay as it is.
    with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    if "systems" not in tables:
        raise SkipError("damaged", "no database of ASE (it has no table 'systems')")
    database = optional("ase.db", "interop", f"reading {path.name}")
    for row in database.connect(path, use_lock_file=False).select():
        yield row.id, name_in(row.key_value_pairs, ""), row.toatoms()


def _frames(path: Path) -> Iterator[tuple[int, str, Any]]:
    trajectories = optional("ase.io.trajectory", "interop", f"reading {path.name}")
    with trajectories.Trajectory(path) as trajectory:
        for number in range(len(trajectory)):
            atoms = trajectory[number]
            yield number, name_in(atoms.info, ""), atoms
