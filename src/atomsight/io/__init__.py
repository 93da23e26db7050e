"""Outside formats to crystals.

| module | what it holds |
|---|---|
| `sources` | paths, lists of them and databases, streamed one structure at a time |
| `files`, `archives` | files and folders; tar and zip |
| `member` | the unit that is streamed: the bytes of one structure |
| `budgets` | limits on what one input may cost |
| `formats` | which format a file is in, by its name |
| `cif`, `shelx`, `poscar`, `extxyz` | a file's text to crystals |
| `ase`, `objects` | structures of other libraries: databases, trajectories, objects in memory |
| `cod`, `optimade`, `csd` | databases |
| `assemble` | the one way from a lattice, atoms and operations to a crystal |
| `quality` | the one policy on imperfect crystals |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from atomsight.core.crystal import Crystal
from atomsight.core.progress import OnProgress, Tracker
from atomsight.io import optimade, plain, poscar, shelx
from atomsight.io.assemble import Structure, assemble
from atomsight.io.budgets import Budget
from atomsight.io.cif import crystals_of as _crystals_of_cif
from atomsight.io.csd import crystal_of as _csd
from atomsight.io.extxyz import crystal_of as _extxyz
from atomsight.io.formats import library_of
from atomsight.io.member import Member, OnSkip
from atomsight.io.objects import crystal_from
from atomsight.io.policy import DEFAULT, QualityPolicy, Reason, SkipError, reason_of
from atomsight.io.sources import check_exist, flatten, iter_members

__all__ = [
    "DEFAULT",
    "Budget",
    "Member",
    "QualityPolicy",
    "Reason",
    "crystals_of",
    "iter_members",
    "iter_structures",
    "read",
]


_PARSERS: dict[str, Callable[[bytes], Structure]] = {
    "shelx": shelx.parse,
    "poscar": poscar.parse,
    "plain": plain.decode,
    "optimade": optimade.decode,
}
"""The parser of each format of one structure a member that takes its name from the member."""

_READERS: dict[str, Callable[[Member, QualityPolicy], Crystal]] = {"extxyz": _extxyz, "csd": _csd}

_BLOCK = re.compile(rb"^\s*data_", re.MULTILINE | re.IGNORECASE)


def read(
    source: Any,
    *,
    policy: QualityPolicy = DEFAULT,
    on_skip: OnSkip | None = None,
    progress: OnProgress | None = None,
) -> Iterator[Crystal]:
    """Read the crystals of files, folders, archives, databases, and objects of ASE and pymatgen.

    The order is stable; folders are read recursively. Archives are streamed: nothing is written to disk and
    one member is in memory at a time.

    Args:
        source: a path, a database (``cod:``, ``optimade:``, ``csd:``), an `ase.Atoms`, a
            `pymatgen.core.Structure`, a `Crystal`, or any iterable of these.
        policy: what is accepted, corrected and rejected.
        on_skip: receives ``(source, reason)`` of everything left out; `reason` is a `Reason`, whose ``rule``
            is a short word to count by. Without it, one `SkippedWarning` at the end says how many there were.
        progress: receives the progress after each crystal.

    Returns:
        An iterator of crystals, each read when it is asked for.

    Raises:
        InputError: a path does not exist.
        MissingExtraError: a database needs a package that is not installed.
        UnreachableError: the server of a database does not answer.

    Example:
        >>> for crystal in atomsight.read("examples/paracetamol.cif"):
        ...     print(crystal)
        <Crystal 7105573: C8H9NO2, 80 atoms on 20 sites, P 1 21/n 1>
    """
    tracker = Tracker("reading", progress, on_skip)
    for item in iter_structures(source, tracker.skip, policy):
        for crystal in [item] if isinstance(item, Crystal) else crystals_of(item, policy, tracker.skip):
            yield crystal
            tracker.advance()
    tracker.close(stacklevel=2)


def iter_structures(
    source: Any, on_skip: OnSkip, policy: QualityPolicy = DEFAULT
) -> Iterator[Member | Crystal]:
    """Iterate over structure files, which are not read yet, and the crystals of objects.

    Args:
        source: see `read`.
        on_skip: receives ``(source, reason)`` of what is left out.
        policy: what is accepted, corrected and rejected.

    Raises:
        InputError, MissingExtraError, UnreachableError: see `read`.
    """
    leaves: Iterable[Any] = flatten(source, objects=True)
    if not isinstance(source, Iterator):  # a stream of objects is taken one by one
        leaves = list(leaves)
        check_exist([leaf for leaf in leaves if library_of(leaf) is None])
    for place, leaf in enumerate(leaves):
        if library_of(leaf) is None:
            yield from iter_members(leaf, on_skip, budget=policy)
            continue
        try:
            crystal = crystal_from(leaf, place, policy)
        except Exception as error:
            on_skip(f"object #{place}", reason_of(error))
        else:
            yield crystal


def crystals_of(
    member: Member, policy: QualityPolicy = DEFAULT, on_skip: OnSkip | None = None
) -> list[Crystal]:
    """The crystals of one structure file, of any format; what cannot be used is reported, never raised.

    See `atomsight.io.cif.crystals_of` for CIFs, which may hold several; other members hold one.
    """
    skips: list[tuple[str, str]] = []
    try:
        if not member.data or member.data.isspace():
            raise SkipError("no_sites", "the file is empty")
        if member.format == "cif":
            _check_blocks(member.data, policy)
            crystals = _crystals_of_cif(member, policy, lambda *skip: skips.append(skip))
        elif member.format in _READERS:
            crystals = [_READERS[member.format](member, policy)]
        else:
            structure = _PARSERS[member.format](member.data)
            crystals = [assemble(structure, member.name, member.source, policy).crystal]
    except Exception as error:  # a bad file never stops a batch, whatever error its reader ends in
        crystals = []
        skips.append((member.source, reason_of(error)))
    # Outside of the try: an error of the callback is the caller's.
    if on_skip is not None:
        for skip in skips:
            on_skip(*skip)
    return crystals


def _check_blocks(data: bytes, policy: QualityPolicy) -> None:
    """Names of blocks are compared each with each, which takes hours for a million."""
    if data.count(b"ata_") + data.count(b"ATA_") > policy.max_blocks:
        blocks = sum(1 for _ in _BLOCK.finditer(data))
        if blocks > policy.max_blocks:
            raise SkipError("too_many_blocks", f"{blocks} data blocks; the limit is {policy.max_blocks}")
