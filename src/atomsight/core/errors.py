"""The errors that atomsight raises on purpose. Each says what was wrong, where, and how to correct it."""

from __future__ import annotations


class AtomsightError(Exception):
    """Base of every error that a user can correct; the command line prints it without a traceback."""


class InputError(AtomsightError, ValueError):
    """An argument cannot be used; the message names the argument and what is allowed."""


class OutputError(AtomsightError):
    """A file cannot be written; the message names it and says why."""


class UnreadableError(AtomsightError):
    """A file, archive member or data block cannot be turned into a crystal; the message is the reason."""


class DatasetError(AtomsightError):
    """A dataset folder is missing, incomplete, of another schema, or does not hold what was asked of it."""


class ModelError(AtomsightError):
    """A model is unknown, damaged, or does not fit the data."""


class MissingExtraError(AtomsightError, ImportError):
    """A feature needs a package of an optional extra; the message names the extra to install."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'atomsight[{extra}]'")


class EngineError(AtomsightError):
    """The workers of an executor died, or the executor was lost, and trying again did not help."""


class SkippedWarning(UserWarning):
    """Structures were left out, and no ``on_skip`` received them."""


class UnreachableError(AtomsightError):
    """A server does not answer, or rejects requests permanently; what was fetched so far is kept."""
