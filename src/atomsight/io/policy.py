"""The one policy on imperfect crystals: each rule, its reason and its option.

A crystal is used only when its sites can be trusted: every later number (a distance, a probability, a count)
is about the sites as they are given here. What a rule turns away is *skipped* with a `Reason`; what a rule
mends leaves a flag.

Rules that skip (the words that `Reason.rule` takes), what was met, and why it is left out:

- ``too_large``: a file beyond `max_bytes`, or a source that unpacks to far more than it holds. No crystal
  needs it.
- ``too_many_members``, ``too_many_frames``, ``too_many_blocks``, ``too_many_columns``: another limit of
  `budgets` is passed. Each guards memory and time.
- ``unsafe_member``: an archive member that is a link, a device, or points outside its archive. Never
  followed.
- ``damaged``: a file or an archive that cannot be read to its end. What was read before stays.
- ``no_cif``: a folder or an archive without any CIF.
- ``not_text``: bytes that are no text.
- ``syntax``: text that is no CIF, after repair. Guessing at it would invent data.
- ``memory``: reading it took more memory than there is.
- ``missing_extra``: its format needs a package that is not installed.
- ``unreachable``, ``not_found``: a database or server does not answer, or has no such entry.
- ``no_sites``: no data block with atoms.
- ``no_cell``: a cell parameter is missing.
- ``bad_cell``: the cell closes to no volume, or repeats a point within `min_translation`.
- ``density``: the volume per atom lies outside `min_volume` to `max_volume`: a wrong cell, most atoms not
  given, or a molecule in an empty box, which is no crystal.
- ``missing_coordinates``: an atom other than hydrogen without coordinates. The structure is incomplete.
- ``unknown_element``: a symbol that is no element, or a label that leaves it in doubt.
- ``disorder``: labelled disorder without one whole major component. The sites are a superposition.
- ``partial_occupancy``: an atom that only a part of the cells holds. The same.
- ``mixed_occupancy``: a position shared between elements, none of which dominates. It has no single element.
- ``close_contact``: atoms closer than `min_distance`. No two atoms are; the structure is wrong somewhere.
- ``bad_symmetry``: operations that cannot be read, are no group or do not fit the cell, or a group of unknown
  name.
- ``too_many_atoms``: more than `max_atoms` in the cell. Guards memory.

What is mended: broken quotes, duplicate rows, labelled disorder with a whole major component, occupancies
close to full, dummy atoms and atoms of occupancy 0 (dropped), D and T (counted as H), atoms a little off a
special position.

Flags of a crystal that was read: ``from_p1`` (orbits found from the geometry), ``symmetry_from_name``
(operations from the space group's name or number, none listed), ``repaired`` (broken syntax mended),
``disorder_resolved``, ``occupancy_rounded`` (sites at least `min_occupancy` occupied taken as full),
``duplicates_merged``, ``deuterium``, ``has_hydrogen``, ``missing_hydrogen``, ``bond_table_misfit`` (rows of
the file's bond table that fit no pair of its atoms, see ``bond_tables.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from atomsight.core.errors import MissingExtraError, UnreachableError, UnreadableError
from atomsight.io.budgets import Budget


class Reason(str):
    """Why a crystal was skipped: reads as a sentence; `rule` is the short stable word to count by."""

    rule: str

    def __new__(cls, rule: str, text: str) -> Reason:
        """Make a reason of its rule and its text."""
        reason = super().__new__(cls, text)
        reason.rule = rule
        return reason

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """Lets a reason travel between processes."""
        return self.rule, str(self)


class SkipError(UnreadableError):
    """Raised while one crystal is read; `reason` is reported and the batch goes on."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.reason = Reason(rule, text)


def reason_of(error: Exception, damaged: str = "") -> Reason:
    """Return why a file is skipped whose reading ended in an error. Every error becomes a skip here.

    Args:
        error: what was raised.
        damaged: text of the rule ``damaged``, which an error of a decoder gets. Without it such an error gets
            the rule ``syntax``.
    """
    if isinstance(error, SkipError):
        return error.reason
    if isinstance(error, MissingExtraError):
        return Reason("missing_extra", str(error))
    if isinstance(error, UnreachableError):
        return Reason("unreachable", str(error))
    if isinstance(error, MemoryError):
        return Reason("memory", "reading it takes more memory than there is")
    if damaged:
        return Reason("damaged", f"{damaged}: {str(error) or type(error).__name__}")
    if isinstance(error, RecursionError):
        return Reason("syntax", "it is nested too deeply")
    if isinstance(error, OSError):
        return Reason("damaged", f"it cannot be read: {error.strerror or error}")
    return Reason("syntax", f"it cannot be read ({type(error).__name__}: {str(error)[:300]})")


@dataclass(frozen=True)
class QualityPolicy(Budget):
    """What is accepted, mended and turned away; lengths in Å, volumes in Å³.

    The fields of `Budget` limit what one input may cost; the others decide about crystals.

    Attributes:
        min_volume, max_volume: volume per atom. Diamond has 5.7, dense hydrides about 3, open frameworks up
            to 100.
        min_translation: shortest lattice translation. The shortest known are about 2.2 (beryllium).
        min_distance: closest that two atoms may come. The shortest bond, H-H, measures 0.74, and X-ray
            positions of hydrogen shorten it a little.
        merge_distance: copies of one atom this close are one atom, given twice or on a special position.
            Coordinates rounded to 0.01 err by 0.1 Å in a cell of 20 Å.
        special_distance: copies of a fully occupied atom this close are one atom on a special position: two
            full atoms cannot be so close. gemmi uses the same 0.4 Å. A partly occupied atom gets
            `merge_distance` only, since its copies are alternatives.
        min_occupancy: a site is full from this occupancy on, and a shared position belongs to its major
            element from this share on. Below it the site is a superposition and its neighbourhood an average.
        resolve_disorder: keep the major component of labelled disorder (False: skip every disordered
            crystal).
        occupancy_slack: the occupancies of a disorder assembly's groups add up to 1 within this.
        symprec: two positions are equivalent within this distance in the search for the symmetry of P1 cells.
            Frameworks and DFT cells are printed to five or six digits (0.0002 Å); 0.01 Å also joins copies
            that differ in the rounding of the structure they were expanded from.
    """

    min_volume: float = 1.5
    max_volume: float = 1000.0
    min_translation: float = 1.5
    min_distance: float = 0.5
    merge_distance: float = 0.1
    special_distance: float = 0.4
    min_occupancy: float = 0.9
    resolve_disorder: bool = True
    occupancy_slack: float = 0.1
    symprec: float = 0.01


DEFAULT = QualityPolicy()
