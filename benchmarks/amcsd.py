"""Write the entries of the American Mineralogist Crystal Structure Database as CIFs, for training.

The package ``larixite`` (MIT) carries 9,275 of the entries, those of few sites, in an SQLite file::

    pip download --no-deps larixite==2026.1.0
    unzip larixite-*.whl
    python benchmarks/amcsd.py larixite/amcsd_cif1.db amcsd.tar.xz

Source: Downs, R. T. & Hall-Wallace, M. (2003). Am. Mineral. 88, 247-250. How the file holds numbers follows
``larixite/amcsd_utils.py``: base64 of 32-bit integers, four million to one.
"""

from __future__ import annotations

import argparse
import base64
import collections
import io
import json
import re
import sqlite3
import tarfile
from collections.abc import Iterator

import gemmi
import numpy as np

SCALE = 4.0e6
NO_NUMBER = 2.0
"""Two and more stand for ``?`` and ``.``."""

ENTRIES = """
    select cif.id, cif.formula, a, b, c, alpha, beta, gamma, atoms_sites, atoms_x, atoms_y, atoms_z,
           atoms_occupancy, minerals.name, hm_notation, symmetry_xyz, journalname, volume, year, page_first
    from cif join minerals on minerals.id = mineral_id join spacegroups on spacegroups.id = spacegroup_id
    join publications on publications.id = publication_id order by cif.id
"""


def numbers(packed: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed), dtype=np.int32) / SCALE


def element(label: str, formula: set[str]) -> str | None:
    """Of a label the longest symbol that it begins with and the formula holds; ``Wat`` is water."""
    if label.startswith("Wat"):
        return "O"
    letters = re.match("[A-Za-z]*", label)
    assert letters is not None
    for symbol in (letters[0][:2], letters[0][:1]):
        if symbol in formula and gemmi.Element(symbol).atomic_number > 0:
            return symbol
    return None


def entries(path: str, left_out: collections.Counter[str]) -> Iterator[tuple[int, str]]:
    """Yield number and CIF of every entry that says where its atoms are and which."""
    for row in sqlite3.connect(path).execute(ENTRIES):
        number, formula, *cell, labels, x, y, z, occupancy, mineral, group, symmetry, journal, volume = row[
            :18
        ]
        xyz = np.stack([numbers(axis) for axis in (x, y, z)], axis=1)
        shares = np.ones(len(xyz)) if occupancy == "0" else numbers(occupancy)
        shares = np.where(shares >= NO_NUMBER, 1.0, shares)
        in_formula = set(re.findall("[A-Z][a-z]?", formula))
        labels = json.loads(labels)
        symbols = [element(label, in_formula) for label in labels]
        if None in symbols:
            left_out["an atom of no element of the formula"] += 1
        elif np.any(xyz >= NO_NUMBER):
            left_out["an atom without a place"] += 1
        elif not len(labels) == len(xyz) == len(shares):
            left_out["columns of unequal length"] += 1
        else:
            block = gemmi.cif.Document().add_new_block(f"amcsd_{number}")
            items = [("_database_code_amcsd", str(number)), ("_chemical_name_mineral", mineral)]
            items += [("_chemical_formula_sum", formula), ("_journal_name_full", journal)]
            items += [("_journal_volume", str(volume)), ("_journal_year", str(row[18]))]
            items += [("_journal_page_first", str(row[19])), ("_symmetry_space_group_name_H-M", group)]
            for tag, value in items:
                block.set_pair(tag, gemmi.cif.quote(value.split("%var")[0]))
            names = ["length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma"]
            for name, value in zip(names, cell, strict=True):
                block.set_pair(f"_cell_{name}", value)
            loop = block.init_loop("_space_group_symop_", ["operation_xyz"])
            for operation in json.loads(symmetry):
                loop.add_row([gemmi.cif.quote(operation)])
            tags = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"]
            loop = block.init_loop("_atom_site_", tags)
            for at, (label, symbol) in enumerate(zip(labels, symbols, strict=True)):
                values = [f"{value:.6f}" for value in (*xyz[at], shares[at])]
                loop.add_row([gemmi.cif.quote(label), symbol, *values])
            yield number, block.as_string()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("database")
    parser.add_argument("out", help="a .tar.xz archive")
    arguments = parser.parse_args()
    left_out: collections.Counter[str] = collections.Counter()
    written = 0
    with tarfile.open(arguments.out, "w:xz") as archive:
        for number, text in entries(arguments.database, left_out):
            info = tarfile.TarInfo(f"amcsd/{number:05d}.cif")
            data = text.encode()
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
            written += 1
    print(f"{written:,} entries written; left out: {dict(left_out)}")


if __name__ == "__main__":
    main()
