"""Extended XYZ: frames cut out of a file of any size, each read by ASE."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

from atomsight.core.crystal import Crystal
from atomsight.core.optional import optional
from atomsight.io.ase import structure_from
from atomsight.io.assemble import assemble
from atomsight.io.budgets import Budget
from atomsight.io.member import Member
from atomsight.io.plain import count_of, name_in
from atomsight.io.policy import QualityPolicy, SkipError

_SHORTEST = 7
"""Bytes of the shortest line of an atom, ``H 0 0 0``."""


def crystal_of(member: Member, policy: QualityPolicy) -> Crystal:
    """The crystal of one frame.

    Raises:
        SkipError: it is turned away, ``no_cell`` where the frame has no ``Lattice``.
        MissingExtraError: ASE is not installed.
    """
    xyz = optional("ase.io.extxyz", "interop", "reading extended XYZ")
    text = member.data.decode("utf-8", "replace")
    atoms = count_of(text.partition("\n")[0].strip(), "its first line")
    if not atoms:
        raise SkipError("no_sites", "no atoms")
    if atoms > policy.max_atoms:
        raise SkipError("too_many_atoms", f"{atoms} atoms; the limit is {policy.max_atoms}")

    def properties(comment: str) -> Any:
        found = xyz.key_val_str_to_dict(comment)
        # ASE makes an object of each of the columns that are only announced.
        widths = str(found.get("Properties", "")).split(":")[2::3]
        columns = sum(count_of(width, "the width of a property") for width in widths)
        if columns > policy.max_columns:
            text = f"{columns} values of each atom; the limit is {policy.max_columns}"
            raise SkipError("too_many_columns", text)
        return found

    try:
        frame = next(iter(xyz.read_xyz(io.StringIO(text), slice(0, 1), properties)))
    except (SkipError, MemoryError):
        raise
    except Exception as error:
        raise SkipError("syntax", f"no extended XYZ ({type(error).__name__}: {error})") from None
    name = name_in(frame.info, member.name)
    return assemble(structure_from(frame), name, member.source, policy).crystal


def frames(stream: IO[bytes], budget: Budget) -> Iterator[bytes]:
    """The frames of a file, one at a time: a number, a comment, and as many lines as the number says.

    Raises:
        SkipError: ``syntax`` where no number stands at the head of a frame or lines are missing,
            ``too_large`` where a frame is beyond `Budget.max_bytes`, ``too_many_frames``.
    """
    frame = blank = 0
    while line := stream.readline(budget.max_bytes + 1):
        word = line.strip()
        if not word:
            blank += 1
            if blank > budget.max_blank_lines:
                raise SkipError("syntax", f"frame {frame}: {blank} blank lines before it")
            continue
        if frame == budget.max_frames:
            raise SkipError("too_many_frames", f"more than {frame} frames")
        left = count_of(word.decode("latin-1"), f"frame {frame}: its first line")
        comment = stream.readline(budget.max_line + 1)
        if len(comment) > budget.max_line:
            raise SkipError("too_large", f"frame {frame}: its comment is longer than {budget.max_line} bytes")
        if not comment and left:
            raise SkipError("syntax", f"frame {frame}: {left} lines are missing at the end of the file")
        held = bytearray(line + comment)
        while left:
            line = stream.readline(budget.max_bytes + 1)
            if len(held) + len(line) > budget.max_bytes:
                text = f"frame {frame} is larger than the limit of {budget.max_bytes} bytes"
                raise SkipError("too_large", text)
            if not line:
                raise SkipError("syntax", f"frame {frame}: {left} lines are missing at the end of the file")
            if len(line) < _SHORTEST:
                raise SkipError("syntax", f"frame {frame}: {line[:40]!r} is no line of an atom")
            held += line
            left -= 1
        yield bytes(held)
        frame, blank = frame + 1, 0
