"""Outside formats to crystals.

| module | what it holds |
|---|---|
| `sources` | files, folders and archives, streamed one structure at a time; databases told from paths |
| `formats` | which format a file is in, by its name |
| `cif`, `shelx`, `poscar`, `extxyz` | a file's text to crystals |
| `ase`, `pymatgen`, `objects` | structures of other libraries: databases, trajectories, objects in memory |
| `cod`, `optimade`, `csd` | databases |
| `assemble` | the one way from a lattice, atoms and operations to a crystal |
| `quality` | the one policy on imperfect crystals |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from atomsight.crystal import Crystal
from atomsight.errors import MissingExtraError
from atomsight.readers.cif import crystals_of as _crystals_of_cif
from atomsight.readers.formats import crystal_of, library_of
from atomsight.readers.objects import crystal_from
from atomsight.readers.quality import DEFAULT, QualityPolicy, Reason, SkipError
from atomsight.readers.sources import Member, OnSkip, Paths, check_exist, flatten, iter_members

__all__ = [
    "DEFAULT",
    "Member",
    "QualityPolicy",
    "Reason",
    "crystals_of",
    "crystals_of_many",
    "iter_members",
    "read",
]


def read(
    paths: Paths | Any, *, policy: QualityPolicy = DEFAULT, on_skip: OnSkip | None = None
) -> Iterator[Crystal]:
    """Every crystal of structure files, folders (recursive), tar and zip archives, databases (``cod:``,
    ``optimade:``, ``csd:``), objects of ASE and pymatgen, or a list of those, in stable order.

    Archives are streamed: nothing is written to disk and one member is in memory at a time.

    Args:
        paths: a path, an `ase.Atoms`, a `pymatgen.core.Structure`, a `Crystal`, or any iterable of these.
        policy: what is accepted, mended and turned away.
        on_skip: receives ``(source, reason)`` for everything left out; `reason` is a `Reason`, whose ``rule``
            is a short word to count by.

    Raises:
        InputError: a path does not exist.
        MissingExtraError: a database needs a package that is not installed.
        UnreachableError: the server of a database does not answer.

    Example:
        >>> for crystal in read("cifs/"):  # doctest: +SKIP
        ...     print(crystal.name, crystal.formula, crystal.n_sites)
    """
    report = on_skip or (lambda source, reason: None)
    leaves: Iterable[Any] = flatten(paths, objects=True)
    if not isinstance(paths, Iterator):  # a stream of objects is taken one by one
        leaves = list(leaves)
        check_exist([leaf for leaf in leaves if library_of(leaf) is None])
    for place, leaf in enumerate(leaves):
        if library_of(leaf) is None:
            for member in iter_members(leaf, report, max_bytes=policy.max_bytes):
                yield from crystals_of(member, policy, report)
            continue
        try:
            yield crystal_from(leaf, place, policy)
        except SkipError as error:
            report(f"object #{place}", error.reason)


def crystals_of(
    member: Member, policy: QualityPolicy = DEFAULT, on_skip: OnSkip | None = None
) -> list[Crystal]:
    """The crystals of one structure file, of any format; what cannot be used is reported, never raised.

    See `atomsight.readers.cif.crystals_of` for CIFs, which may hold several; other members hold one.
    """
    if member.kind == "cif":
        return _crystals_of_cif(member, policy, on_skip)
    report = on_skip or (lambda source, reason: None)
    try:
        return [crystal_of(member, policy)]
    except SkipError as error:
        report(member.source, error.reason)
    except MissingExtraError as error:
        report(member.source, Reason("missing_extra", str(error)))
    except Exception as error:  # a bad file never stops a batch
        report(member.source, Reason("syntax", f"it cannot be read ({type(error).__name__}: {error})"))
    return []


def crystals_of_many(
    members: Iterable[Member], policy: QualityPolicy = DEFAULT, on_skip: OnSkip | None = None
) -> Iterator[tuple[Member, list[Crystal]]]:
    """Each file with its crystals, in order: what `crystals_of` gives."""
    for member in members:
        yield member, crystals_of(member, policy, on_skip)
