"""The folder of a training run, from which an interrupted run continues.

| file | what |
|---|---|
| ``settings.json`` | all settings, the elements chosen, dataset and its fingerprint, versions |
| ``metrics.jsonl`` | one JSON object per epoch, all stages in order |
| ``checkpoints/<stage>.ckpt`` | Lightning checkpoint of the last epoch, with the best weights so far |
| ``result.json`` | scores on ``val``, calibration, time |
| ``model.onnx`` | the exported model; written last, so that it is there only when the run has ended |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atomsight.core.errors import InputError, ModelError
from atomsight.core.files import write_text
from atomsight.models.load import MODEL_FILE
from atomsight.training.settings import RunSettings, Settings


class RunFolder:
    """The files of a training run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.settings_file = path / "settings.json"
        self.model = path / MODEL_FILE

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.model.is_file()

    def claim(self, settings: RunSettings, record: dict[str, Any], resume: bool) -> None:
        """Create the folder of a run, or check that it is a run with these settings.

        Args:
            settings: of the run now.
            record: the rest of ``settings.json``: ``dataset``, ``fingerprint``, ``chosen``, ...
            resume: continue a run that exists.

        Raises:
            InputError: the folder holds another run, or other files, or the settings or the dataset differ
                from those that the run began with.
            ModelError: ``settings.json`` is damaged.
        """
        if self.settings_file.is_file():
            if not resume:
                raise InputError(f"{self.path} holds a run; go on with it by --resume, or give another --out")
            self._compare(settings, record)
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise InputError(f"{self.path} holds other files and no run; give another --out")
        else:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            text = json.dumps({**settings.as_dict(), **record}, indent=1, ensure_ascii=False)
            write_text(self.settings_file, text + "\n")
        self.checkpoints.mkdir(exist_ok=True)

    def _compare(self, settings: RunSettings, record: dict[str, Any]) -> None:
        held = _read(self.settings_file)
        differences = settings.differences(held)
        if held.get("fingerprint") != record["fingerprint"]:
            differences.append(
                f"the dataset was another ({held.get('dataset')}, fingerprint {held.get('fingerprint')})"
            )
        if differences:
            raise InputError(f"cannot go on with {self.path} under other settings: {'; '.join(differences)}")

    def checkpoint(self, stage: str) -> Path:
        """Return the path of a stage's checkpoint."""
        return self.checkpoints / f"{stage}.ckpt"

    def epochs(self) -> list[dict[str, Any]]:
        """Return the records of ``metrics.jsonl``."""
        file = self.path / "metrics.jsonl"
        if not file.is_file():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def write_epochs(self, records: list[dict[str, Any]]) -> None:
        """Write ``metrics.jsonl`` with the records of all epochs of the present weights."""
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in records))

    def write_result(self, result: dict[str, Any]) -> None:
        """Write ``result.json``."""
        write_text(self.path / "result.json", json.dumps(result, indent=1) + "\n")


def read_settings(run: RunFolder) -> tuple[Settings, dict[str, Any]]:
    """Return the settings of a run, and everything in its ``settings.json``.

    Raises:
        ModelError: it is no run folder, or ``settings.json`` is damaged.
    """
    if not run.settings_file.is_file():
        raise ModelError(f"{run.path} is no run folder: it holds no settings.json")
    record = _read(run.settings_file, "train the model again")
    try:
        return Settings(**{name: record[name] for name in Settings().as_dict()}), record
    except (KeyError, TypeError) as error:
        raise ModelError(f"{run.settings_file} is damaged ({error}); train the model again") from error


def run_origin(out: Path, key: str) -> tuple[bool, Any]:
    """Return whether a folder holds a run, and what its ``settings.json`` says that it came from.

    Args:
        out: a folder, which need not exist.
        key: ``further_from``, ``grown_from`` or ``average_of``.

    Raises:
        ModelError: ``settings.json`` is damaged.
    """
    file = RunFolder(out).settings_file
    return (True, _read(file).get(key)) if file.is_file() else (False, None)


def check_origin(out: Path, key: str, origin: Mapping[str, Any], same: str) -> None:
    """Refuse to resume a run that began from other weights.

    Args:
        out: the run folder, which need not exist.
        key: ``further_from`` or ``grown_from``.
        origin: where the weights come from now.
        same: entry of the origin that decides.

    Raises:
        InputError: the folder holds a run that began from another model or from random weights.
        ModelError: ``settings.json`` is damaged.
    """
    exists, found = run_origin(out, key)
    if exists and (not found or found.get(same) != origin[same]):
        began = f"from {found.get('run', found.get('model'))}" if found else "anew"
        raise InputError(f"{out} holds a run that began {began}; give another --out")


def _read(file: Path, advice: str = "start again with another --out") -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} is damaged ({error}); {advice}") from error
    return record
