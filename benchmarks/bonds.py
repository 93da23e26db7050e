"""Accuracy of perceived bonds and bond types, compared with the tables of files and with RDKit.

    python benchmarks/bonds.py PATH... [--rdkit] [--limit N]
    python benchmarks/bonds.py PATH... --hydrogen
    python benchmarks/bonds.py --study DATASET [--rows 20000000]

PATHs are CIFs, folders or archives. There are three references, each used where it exists:

- *bond tables*: the ``_geom_bond_*`` rows of the files, checked against their coordinates. A perceived bond
  counts as wrong only where the table could have held it: at a site that the table lists, between elements
  that the table lists with each other (many tables leave out hydrogen).
- *types*: ``_ccdc_geom_bond_type`` of those rows. Materials Studio writes rings and carboxylates either as
  aromatic or as alternating single and double bonds. There are three rates of agreement: the same word; the
  same word if aromatic and delocalised are one type; and with single and double also accepted for a bond that
  is perceived as aromatic or delocalised, if each of its carbons has exactly one double bond in the table.
- *RDKit* (``--rdkit``): ``DetermineBonds`` on every complete molecule without a metal, assumed to be neutral,
  from elements and coordinates alone, then RDKit's aromaticity.

``--hydrogen`` counts the types that the files state for bonds to hydrogen, within the cell and out of it. It
checks the reference, because hydrogen has single bonds only.

``--study`` measures the study of a dataset with bonds. Its shards are read repeatedly until this number of
rows is counted.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path

import gemmi
import numpy as np

from atomsight.core.crystal import BOND_TYPES, Bonds, Crystal
from atomsight.dataset import Dataset, open_dataset
from atomsight.geometry.bonds import perceive_bonds
from atomsight.geometry.bonds.connect import BondGraph, bond_graph
from atomsight.geometry.bonds.orders import bond_types
from atomsight.geometry.bonds.radii import METAL
from atomsight.io import iter_members, read

CLASSES = ("non-metal and non-metal", "metal and non-metal", "metal and metal")
RESONANT = ("aromatic", "delocalised")
MOST_ATOMS = 150


def keys(bonds: Bonds) -> list[tuple[int, ...]]:
    """Return site, atom and cell of each bond."""
    columns = np.column_stack([bonds.sites, bonds.atoms, bonds.images]).astype(int)
    return list(map(tuple, columns.tolist()))


class Tables:
    """Comparison of bonds and types with the tables of the files."""

    def __init__(self) -> None:
        self.crystals = self.typed = 0
        self.right: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.confusion: Counter[tuple[str, str]] = Counter()
        self.drawn = 0
        self.examples: dict[str, Counter[str]] = {"wrong": Counter(), "missed": Counter()}

    def add(self, crystal: Crystal, found: Bonds) -> None:
        """Compare one crystal."""
        table = crystal.bonds
        if table is None:
            return
        self.crystals += 1
        sites, numbers = crystal.site_numbers.astype(int), crystal.numbers.astype(int)
        stated = dict(zip(keys(table), table.types.tolist(), strict=True))
        perceived = dict(zip(keys(found), found.types.tolist(), strict=True))
        listed = {(key[0], numbers[key[1]]) for key in stated}
        pairs = {frozenset((sites[key[0]], numbers[key[1]])) for key in stated}
        for key in stated.keys() | perceived.keys():
            one, two = sites[key[0]], numbers[key[1]]
            pair_class = CLASSES[int(METAL[one]) + int(METAL[two])]
            if key in stated and key in perceived:
                self.right[pair_class] += 1
            elif key in stated:
                self.missed[pair_class] += 1
                self.examples["missed"][pair_name(one, two)] += 1
            elif any(site == key[0] for site, _ in listed) and frozenset((one, two)) in pairs:
                self.wrong[pair_class] += 1
                self.examples["wrong"][pair_name(one, two)] += 1
        if table.types.any():
            self.typed += 1
            self._types(stated, perceived, crystal)

    def _types(self, stated: dict, perceived: dict, crystal: Crystal) -> None:
        doubles = Counter(
            key[0] for key, code in stated.items() if BOND_TYPES[code] in ("double", "delocalised")
        )
        for key, code in stated.items():
            if key not in perceived or BOND_TYPES[code] == "unknown":
                continue
            pair = BOND_TYPES[code], BOND_TYPES[perceived[key]]
            self.confusion[pair] += 1
            if pair[0] in ("single", "double") and pair[1] in RESONANT:
                ends = (key[0], int(crystal.orbits[key[1]]))
                centres = [s for s in ends if crystal.site_numbers[s] in (6, 15, 16)]
                self.drawn += bool(centres) and all(doubles[s] == 1 for s in centres)

    def report(self) -> None:
        """Print the tables."""
        print(f"\n### Bonds against the tables of {self.crystals} crystals\n")
        print("| between | precision | recall | in both | only perceived | only in the table |")
        print("|---|---|---|---|---|---|")
        for name in CLASSES:
            right, wrong, missed = self.right[name], self.wrong[name], self.missed[name]
            if right + wrong + missed:
                precision, recall = right / max(right + wrong, 1), right / max(right + missed, 1)
                print(f"| {name} | {precision:.4f} | {recall:.4f} | {right:,} | {wrong:,} | {missed:,} |")
        for name, counts in self.examples.items():
            print(f"\nMost often {name}: {', '.join(f'{p} {n}' for p, n in counts.most_common(6))}")
        total = sum(self.confusion.values())
        if not total:
            return
        same = sum(n for (a, b), n in self.confusion.items() if a == b)
        one = sum(n for (a, b), n in self.confusion.items() if a != b and {a, b} <= set(RESONANT))
        print(f"\n### Types against the tables of {self.typed} crystals\n")
        print("| agreement | share | bonds |\n|---|---|---|")
        print(f"| the same word | {same / total:.4f} | {same:,} of {total:,} |")
        print(f"| aromatic and delocalised as one | {(same + one) / total:.4f} | {same + one:,} |")
        drawn = same + one + self.drawn
        print(f"| and single-double drawings of them accepted | {drawn / total:.4f} | {drawn:,} |\n")
        confusion_table(self.confusion, "table")


def confusion_table(confusion: Counter[tuple[str, str]], reference: str) -> None:
    """Print a table with rows of the reference and columns of the perceived types."""
    columns = [t for t in BOND_TYPES if any(b == t for _, b in confusion)]
    print(f"| {reference}, perceived as | {' | '.join(columns)} | recall |")
    print("|---" * (len(columns) + 2) + "|")
    for a in BOND_TYPES:
        row = [confusion[a, b] for b in columns]
        if sum(row):
            print(f"| {a} | {' | '.join(f'{n:,}' for n in row)} | {confusion[a, a] / sum(row):.3f} |")


def pair_name(one: int, two: int) -> str:
    """Return the symbols of a pair."""
    from atomsight.core.elements import SYMBOLS

    return "-".join(sorted((SYMBOLS[one], SYMBOLS[two])))


def molecules(crystal: Crystal, graph: BondGraph) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Iterate over (n,) atoms and unwrapped (n, 3) positions of the finite molecules without a metal."""
    seen = np.zeros(crystal.n_atoms, bool)
    for origin in crystal.representatives.tolist():
        if seen[origin]:
            continue
        cells = {origin: np.zeros(3, int)}
        queue, finite = [origin], True
        while queue:
            atom = queue.pop()
            for bond in range(graph.start[atom], graph.start[atom + 1]):
                other, cell = int(graph.second[bond]), cells[atom] + graph.image[bond]
                if other not in cells:
                    cells[other] = cell
                    queue.append(other)
                elif (cells[other] != cell).any():
                    finite = False
        atoms = np.array(list(cells))
        seen[atoms] = True
        if finite and 2 < len(atoms) <= MOST_ATOMS and not METAL[crystal.numbers[atoms]].any():
            yield atoms, (crystal.fractional[atoms] + [cells[a] for a in atoms.tolist()]) @ crystal.lattice


class Rdkit:
    """Comparison of types with RDKit on complete molecules."""

    def __init__(self) -> None:
        self.molecules = self.failed = self.same_molecules = self.same_bonds = 0
        self.seconds = self.ours = 0.0
        self.confusion: Counter[tuple[str, str]] = Counter()

    def add(self, crystal: Crystal) -> None:
        """Compare the molecules of one crystal."""
        from rdkit import Chem, RDLogger
        from rdkit.Chem import rdDetermineBonds

        RDLogger.DisableLog("rdApp.*")
        started = time.process_time()
        graph = bond_graph(crystal)
        types = bond_types(graph)
        self.ours += time.process_time() - started
        for atoms, positions in molecules(crystal, graph):
            self.molecules += 1
            place = {atom: i for i, atom in enumerate(atoms.tolist())}
            mol = Chem.RWMol()
            for atom in atoms.tolist():
                mol.AddAtom(Chem.Atom(int(crystal.numbers[atom])))
            conformer = Chem.Conformer(len(atoms))
            for i, position in enumerate(positions.tolist()):
                conformer.SetAtomPosition(i, position)
            mol.AddConformer(conformer)
            started = time.process_time()
            try:
                rdDetermineBonds.DetermineBonds(mol, charge=0, maxIterations=2000)
            except (ValueError, RuntimeError):
                self.failed += 1
                continue
            finally:
                self.seconds += time.process_time() - started
            theirs = {
                frozenset((b.GetBeginAtomIdx(), b.GetEndAtomIdx())): b.GetBondType().name.lower()
                for b in mol.GetBonds()
            }
            ours = {}
            for atom in atoms.tolist():
                for bond in range(graph.start[atom], graph.start[atom + 1]):
                    pair = frozenset((place[atom], place[int(graph.second[bond])]))
                    ours[pair] = BOND_TYPES[types[bond]]
            self.same_bonds += theirs.keys() == ours.keys()
            both = [(theirs[pair], ours[pair]) for pair in theirs.keys() & ours.keys()]
            self.same_molecules += all(a == b for a, b in both)
            self.confusion.update(both)

    def report(self) -> None:
        """Print the comparison."""
        done = self.molecules - self.failed
        if not done:
            return
        total = sum(self.confusion.values())
        same = sum(n for (a, b), n in self.confusion.items() if a == b)
        print(f"\n### Types against RDKit on {self.molecules} complete molecules without metals\n")
        print(
            f"RDKit gives an answer for {done} of {self.molecules} taken as neutral, in {self.seconds:.1f} s"
        )
        print(
            f"CPU (all bonds and types of these crystals here: {self.ours:.1f} s). The same atoms are bonded"
        )
        print(
            f"in {self.same_bonds} of {done}. Of {total:,} bonds that both find, {same / total:.4f} have the"
        )
        print(f"same type; in {self.same_molecules} molecules all have.\n")
        confusion_table(self.confusion, "RDKit")


def bonds_to_hydrogen(paths: list[Path]) -> None:
    """Print the stated types of bonds to hydrogen, by where they lead and which program wrote them."""
    files: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    tags = ["atom_site_label_1", "atom_site_label_2", "?site_symmetry_2"]
    for member in iter_members(paths):
        if b"_ccdc_geom_bond_type" not in member.data:
            continue
        block = gemmi.cif.read_string(member.data)[0]
        files[block.find_value("_audit_creation_method") or "?"] += 1
        hydrogens = {row[0] for row in block.find("_atom_site_", ["label", "type_symbol"]) if row[1] == "H"}
        types = block.find_values("_ccdc_geom_bond_type")
        for row, bond_type in zip(block.find("_geom_bond_", tags), types, strict=True):
            if hydrogens & {row[0], row[1]}:
                leaves = row.has(2) and row[2] not in (".", "?")
                counts["leaving it" if leaves else "within the cell", bond_type] += 1
    print(f"{date.today()}  files with _ccdc_geom_bond_type by program: {dict(files)}\n")
    print("| bonds to hydrogen | type | rows |\n|---|---|---|")
    for (place, bond_type), count in sorted(counts.items()):
        print(f"| {place} | {bond_type} | {count:,} |")


class Repeated(Dataset):
    """A dataset whose shards are read repeatedly."""

    def __init__(self, dataset: Dataset, rows: int) -> None:
        super().__init__(dataset.path, dataset.metadata)
        self.times = -(-rows // dataset.n_sites())

    def shards(self, split: str | None = None) -> list[Path]:
        """Return all shards, repeated."""
        return super().shards(split) * self.times


def time_study(path: Path, rows: int) -> None:
    """Print time and memory of the study."""
    from atomsight.analyse.bond_lengths import study_bonds

    dataset = Repeated(open_dataset(path), rows)
    started, spent = time.perf_counter(), time.process_time()
    study = study_bonds(dataset)
    wall, cpu = time.perf_counter() - started, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{date.today()}  {platform.machine()}, one process, Python {platform.python_version()}")
    print(
        f"{study.sites:,} sites with {study.bonds:,} bonds: {wall:.0f} s, {cpu:.0f} s CPU, peak {peak:.0f} MB"
    )


def main() -> None:
    """Compare or measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", type=Path, nargs="*", metavar="PATH")
    parser.add_argument("--hydrogen", action="store_true", help="count stated types of bonds to hydrogen")
    parser.add_argument("--rdkit", action="store_true", help="compare with RDKit too")
    parser.add_argument("--limit", type=int, default=None, help="only so many crystals of each PATH")
    parser.add_argument(
        "--study", type=Path, metavar="DATASET", help="time the study of this dataset instead"
    )
    parser.add_argument("--rows", type=int, default=20_000_000, help="rows that the study counts")
    arguments = parser.parse_args()
    if arguments.hydrogen:
        bonds_to_hydrogen(arguments.paths)
        return
    if arguments.study:
        time_study(arguments.study, arguments.rows)
        return
    tables, rdkit = Tables(), Rdkit()
    crystals = atoms = failed = 0
    seconds = 0.0
    for path in arguments.paths:
        for crystal in islice(read(path), arguments.limit):
            crystals += 1
            atoms += crystal.n_atoms
            started = time.process_time()
            try:
                found = perceive_bonds(crystal, use_table=False)
            except Exception as error:
                failed += 1
                print(f"{crystal.source}: {type(error).__name__}: {error}")
                continue
            seconds += time.process_time() - started
            tables.add(crystal, found)
            if arguments.rdkit:
                rdkit.add(crystal)
    print(f"{date.today()}  {platform.machine()}, one process, Python {platform.python_version()}")
    each = 1000 * seconds / max(crystals, 1)
    print(f"{crystals:,} crystals, {atoms:,} atoms: {each:.1f} ms CPU a crystal, {failed} failures")
    tables.report()
    rdkit.report()


if __name__ == "__main__":
    main()
