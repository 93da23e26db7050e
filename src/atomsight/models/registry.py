"""The kinds of model. A new kind is a folder beside `two_stage` and a line here; nothing else names it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from atomsight.errors import InputError, ModelError

if TYPE_CHECKING:
    from atomsight.models.base import Model
    from atomsight.models.fitting import Architecture


@dataclass(frozen=True)
class Kind:
    """Where the two halves of a kind live, as ``module:class``: inference must never import PyTorch."""

    inference: str
    training: str

    def model_class(self) -> type[Model]:
        """The class that runs an exported model of this kind."""
        return _load(self.inference)

    def architecture_class(self) -> type[Architecture]:
        """The class that trains and exports this kind; imports PyTorch."""
        return _load(self.training)


KINDS: dict[str, Kind] = {
    "two-stage": Kind(
        inference="atomsight.models.two_stage.inference:TwoStageModel",
        training="atomsight.models.two_stage.training:TwoStage",
    ),
    "masked-site": Kind(
        inference="atomsight.models.masked_site.inference:MaskedSiteModel",
        training="atomsight.models.masked_site.training:MaskedSite",
    ),
}


def kind_named(name: str) -> Kind:
    """The kind that a user asks for.

    Raises:
        InputError: there is none of that name.
    """
    if name not in KINDS:
        raise InputError(f"no model of kind {name!r}; the kinds are {', '.join(KINDS)}")
    return KINDS[name]


def kind_of_file(name: str, source: str) -> Kind:
    """The kind that a model file says it is of.

    Raises:
        ModelError: this version of atomsight does not know it.
    """
    if name not in KINDS:
        raise ModelError(
            f"{source} is a model of kind {name!r}, which this version of atomsight does not know"
        )
    return KINDS[name]


def _load(path: str) -> type:
    module, _, name = path.partition(":")
    loaded: type = getattr(import_module(module), name)
    return loaded
