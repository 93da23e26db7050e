"""Datasets built apart become one: the same bytes as one build of all their sources in the same order.

Nothing is computed again. Ids, groups and splits follow from all crystals together, so a group that two parts
share falls into one split, and a crystal may change its split where a new one links two groups.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from operator import ne
from pathlib import Path
from typing import Any

from atomsight.core.errors import DatasetError, InputError
from atomsight.core.progress import OnProgress, Progress
from atomsight.dataset._files import GO_ON, locked, prepare_folder, writing
from atomsight.dataset.existing import ExistingParts
from atomsight.dataset.finalise import finalise
from atomsight.dataset.schema import INDEX_NAME
from atomsight.dataset.staging import Staging, shortened
from atomsight.dataset.store import REPAIR, Dataset, open_dataset, policy_of, read_index

FREE = ("atomsight", "sources", "licences")
"""Settings in which the parts of one dataset may differ."""


@dataclass(frozen=True)
class MergeSummary:
    """What merging made: ``index`` is the content of ``dataset.json``.

    Attributes:
        path: folder of the dataset.
        duplicates: crystals left out, because an earlier part holds one of the same id and file hash.
        superseded: crystals left out, because an earlier part holds one of the same refcode and the parts
            were built with ``one_per_refcode``; these are in the skipped table.
        renamed: crystals that got another id, since an earlier part holds another crystal of that id.
    """

    path: Path
    index: dict[str, Any] = field(repr=False)
    duplicates: int
    superseded: int
    renamed: int


def merge(
    parts: Sequence[str | Path],
    out: str | Path,
    *,
    progress: OnProgress = lambda progress: None,
) -> MergeSummary:
    """Merge datasets that were built with the same settings, on other machines or at other times.

    A crystal that an earlier part holds with the same id and the same file hash is taken once; one of the
    same id and other content is kept under a longer id, as in a build. Where the parts have no file in
    common the result is, byte for byte, that of one build of all sources in this order. Interrupted, it
    leaves a folder in which the same call starts afresh; once finished, the same call finds it so.

    Args:
        parts: dataset folders in order.
        out: a new folder.
        progress: receives the progress, in crystals.

    Raises:
        InputError: fewer than two parts, one given twice, or ``out`` is not empty.
        DatasetError: a part is damaged, the parts differ in k, policy or another setting that decides what
            a row holds, or the disk is full.
    """
    folders = [Path(part) for part in parts]
    if len(folders) < 2:
        raise InputError("merging takes at least two datasets")
    places = [folder.resolve() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if places.count(place) > 1:
            raise InputError(f"{folder} is given twice")
    out = Path(out)
    if out.resolve() in places:
        raise InputError(f"{out} is one of the parts; give a new folder")
    datasets = [open_dataset(folder) for folder in folders]
    settings = joined_settings(datasets)
    source = ExistingParts(datasets, one_per_refcode=bool(settings.get("one_per_refcode")))
    total = sum(dataset.n_crystals for dataset in datasets)
    prepare_folder(out)
    with locked(out):
        staging = Staging(out)
        index = _finished(out, settings, source)
        if index is None:
            staging.begin({**settings, "merged": [dataset.fingerprint for dataset in datasets]})
            for dataset in datasets:
                refuse_damaged(dataset)
            with writing(out, f"; the parts are untouched, {GO_ON}"):
                index = finalise(
                    [source], out, settings, lambda: progress(Progress("writing", source.done, total))
                )
        staging.remove()
    ids = open_dataset(out).crystals(["crystal"]).column("crystal").to_pylist()
    renamed = sum(map(ne, source.names, ids))
    return MergeSummary(out, index, source.duplicates, source.superseded, renamed)


def _finished(out: Path, settings: dict[str, Any], source: ExistingParts) -> dict[str, Any] | None:
    """The index of the same merge that has ended already, perhaps killed in its very last moment.

    Raises:
        DatasetError: another dataset is there.
    """
    if not (out / INDEX_NAME).is_file():
        return None
    index = read_index(out)
    if index["build"] != json.loads(json.dumps(settings)) or index["crystals"] != len(source.names):
        raise DatasetError(f"{out} holds another dataset already; give a new folder")
    return index


def joined_settings(datasets: Sequence[Dataset], onto: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Settings of a build of all sources of some datasets, and of further builds.

    Raises:
        DatasetError: they differ in what decides a row, or a dataset's split is not the one that follows
            from its groups; the message names the difference.
    """
    for dataset in datasets:
        if "resplit" in dataset.metadata:
            raise DatasetError(
                f"{dataset.path} has a split of its own; take the dataset that it was made from"
            )
    settings = [_complete(dataset.path, dataset.metadata["build"]) for dataset in datasets]
    settings += [_complete(datasets[0].path, one) for one in onto]
    names = [*(str(dataset.path) for dataset in datasets), *("what is added" for _ in onto)]
    first = settings[0]
    for name, other in zip(names[1:], settings[1:], strict=True):
        keys = [key for key in dict.fromkeys([*first, *other]) if key not in FREE]
        differences = [_difference(key, first.get(key), other.get(key)) for key in keys]
        if told := "; ".join(filter(None, differences)):
            raise DatasetError(
                f"{names[0]} and {name} do not go together ({told}); build them with the same settings"
            )
    versions = dict.fromkeys(version for one in settings for version in one["atomsight"].split(", "))
    licences: dict[str, str] = {}
    for one in settings:
        for source, text in one["licences"].items():
            known = licences.get(source)
            licences[source] = text if known in (None, text) else f"{known}; {text}"
    return {
        **first,
        "atomsight": ", ".join(versions),
        "sources": [source for one in settings for source in one["sources"]],
        "licences": licences,
    }


def _complete(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with every rule of the policy: datasets of earlier versions state fewer."""
    return {**settings, "policy": asdict(policy_of(folder, settings))} if "policy" in settings else settings


def _difference(key: str, here: Any, there: Any) -> str:
    if here == there:
        return ""
    if isinstance(here, dict) and isinstance(there, dict):
        rules = [rule for rule in dict.fromkeys([*here, *there]) if here.get(rule) != there.get(rule)]
        return "; ".join(_difference(f"{key} {rule}", here.get(rule), there.get(rule)) for rule in rules)
    return f"{key}: {shortened(str(here))} and {shortened(str(there))}"


def refuse_damaged(dataset: Dataset) -> None:
    """Read every file of a dataset once: what is copied from it must be what was written.

    Raises:
        DatasetError: a checksum differs; the message names the files.
    """
    if damaged := dataset.damaged():
        raise DatasetError(f"damaged: {', '.join(str(dataset.path / name) for name in damaged)}; {REPAIR}")
