"""Extended XYZ: frames cut out of a file of any size, each read by ASE."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

from atomsight.crystal import Crystal
from atomsight.readers._optional import optional
from atomsight.readers.assemble import assemble
from atomsight.readers.plain import name_in
from atomsight.readers.quality import QualityPolicy, SkipError
from atomsight.readers.sources import Member


def crystal_of(member: Member, policy: QualityPolicy) -> Crystal:
    """The crystal of one frame.

    Raises:
        SkipError: it is turned away, ``no_cell`` where the frame has no ``Lattice``.
        MissingExtraError: ASE is not installed.
    """
    xyz = optional("ase.io.extxyz", "interop", "reading extended XYZ")
    from atomsight.readers.ase import structure_from

    try:
        atoms = next(
            iter(xyz.read_xyz(io.StringIO(member.data.decode("utf-8", "replace")), index=slice(0, 1)))
        )
    except Exception as error:
        raise SkipError("syntax", f"no extended XYZ ({type(error).__name__}: {error})") from None
    name = name_in(atoms.info, member.name)
    return assemble(structure_from(atoms), name, member.source, policy).crystal


def frames(stream: IO[bytes], max_bytes: int) -> Iterator[bytes]:
    """The frames of a file, one at a time: a number, a comment, and as many lines as the number says.

    Raises:
        SkipError: ``syntax`` where no number stands at the head of a frame or lines are missing,
            ``too_large`` where a frame is beyond `max_bytes`.
    """
    frame = 0
    while line := stream.readline(max_bytes + 1):
        if not line.strip():
            continue
        if not line.strip().isdigit():
            raise SkipError(
                "syntax", f"frame {frame}: its first line should be the number of atoms, not {line[:40]!r}"
            )
        lines, left = [line], int(line) + 1
        size = len(line)
        while left:
            line = stream.readline(max_bytes + 1)
            size += len(line)
            if size > max_bytes:
                raise SkipError("too_large", f"frame {frame} is larger than the limit of {max_bytes} bytes")
            if not line:
                raise SkipError("syntax", f"frame {frame}: {left} lines are missing at the end of the file")
            lines.append(line)
            left -= 1
        yield b"".join(lines)
        frame += 1
