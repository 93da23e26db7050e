"""VASP's POSCAR and CONTCAR."""

from __future__ import annotations

import re

import numpy as np

from atomsight.io.assemble import Structure
from atomsight.io.plain import count_of, lattice_from, structure_of
from atomsight.io.policy import SkipError


def parse(data: bytes) -> Structure:
    """The structure in a POSCAR, as the VASP manual describes the format.

    A file of VASP 4 names its elements nowhere but in its title, if there. It is read when the title is a
    list of symbols, one for each count, and turned away otherwise: what sits where is not to be guessed.

    Raises:
        SkipError: ``syntax`` where a line is not what the format wants there, ``unknown_element`` where no
            elements are named.
    """
    lines = data.decode("utf-8", "replace").splitlines()

    def numbers(at: int, least: int, what: str) -> list[float]:
        try:
            words = re.split(r"[!#]", lines[at])[0].split()
            found = []
            for word in words:
                try:
                    found.append(float(word))
                except ValueError:
                    break
            if len(found) >= least:
                return found
        except IndexError:
            raise SkipError("syntax", f"the file ends before line {at + 1}, {what}") from None
        raise SkipError("syntax", f"line {at + 1} should hold {what}, not {lines[at].strip()[:40]!r}")

    scale = np.array(numbers(1, 1, "the scaling factor"))
    if len(scale) not in (1, 3) or not scale.all() or (len(scale) == 3 and (scale < 0).any()):
        raise SkipError("syntax", "line 2 should hold one scaling factor, or three positive ones")
    vectors = np.array([numbers(2 + axis, 3, "a cell vector")[:3] for axis in range(3)])
    if scale[0] < 0:  # the volume of the cell
        scale = np.array([np.cbrt(-scale[0] / max(abs(np.linalg.det(vectors)), 1e-12))])
    lattice = lattice_from(vectors * scale)
    at = 5
    words = re.split(r"[!#]", lines[at])[0].split() if len(lines) > at else []
    if words and not re.match(r"[-+]?[0-9]", words[0]):
        elements = [re.split(r"[_/.]", word)[0] for word in words]  # Na_pv/6a2f546d names a potential
        at += 1
    else:
        elements = lines[0].split()
    counts = [
        count_of(f"{count:.15g}", f"line {at + 1}")
        for count in numbers(at, 1, "the number of atoms of each element")
    ]
    if len(elements) != len(counts):
        raise SkipError("unknown_element", f"{len(counts)} counts of atoms, but no symbol for each")
    at += 1
    if lines[at : at + 1] and lines[at].strip()[:1] in ("s", "S"):  # selective dynamics
        at += 1
    mode = lines[at].strip()[:1] if len(lines) > at else ""
    total = sum(counts)
    if total > len(lines) - at - 1:
        raise SkipError("syntax", f"{total} atoms are announced, {max(len(lines) - at - 1, 0)} lines follow")
    positions = np.array([numbers(at + 1 + row, 3, "a position")[:3] for row in range(total)])
    if mode in ("c", "C", "k", "K"):
        positions = np.linalg.solve(lattice.T, (positions * scale).reshape(-1, 3).T).T
    symbols = [element for element, count in zip(elements, counts, strict=True) for _ in range(count)]
    return structure_of(lattice, symbols, positions)
