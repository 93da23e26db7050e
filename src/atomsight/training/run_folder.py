"""The folder that a training run leaves behind, and goes on from after an interruption.

| file | what |
|---|---|
| ``settings.json`` | all settings, the elements that they came to, dataset and its fingerprint, versions |
| ``metrics.jsonl`` | one JSON object per epoch, all stages in order |
| ``checkpoints/<stage>.ckpt`` | Lightning checkpoint of the last epoch, with the best weights so far |
| ``result.json`` | scores on ``val``, calibration, time |
| ``model.onnx`` | the exported model; written last, so that it is there only when the run has ended |
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from atomsight.core.errors import InputError, ModelError
from atomsight.core.files import write_text
from atomsight.models.load import MODEL_FILE
from atomsight.training.settings import RunSettings, Settings


class RunFolder:
    """A run folder that is open for training."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.model = path / MODEL_FILE

    @property
    def ended(self) -> bool:
        """Whether the run has come to its end."""
        return self.model.is_file()

    def claim(self, settings: RunSettings, record: dict[str, Any], resume: bool) -> None:
        """Make the folder this run's, or prove that it already is.

        Args:
            settings: what is asked for now.
            record: the rest of ``settings.json``: ``dataset``, ``fingerprint``, ``chosen``, ...
            resume: go on with a run that is there.

        Raises:
            InputError: the folder holds another run, or other files, or the settings or the dataset differ
                from those that the run began with.
            ModelError: ``settings.json`` is damaged.
        """
        file = self.path / "settings.json"
        if file.is_file():
            if not resume:
                raise InputError(f"{self.path} holds a run; go on with it by --resume, or give another --out")
            self._compare(file, settings, record)
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise InputError(f"{self.path} holds other files and no run; give another --out")
        else:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            write_text(
                file, json.dumps({**settings.as_dict(), **record}, indent=1, ensure_ascii=False) + "\n"
            )
        self.checkpoints.mkdir(exist_ok=True)

    def _compare(self, file: Path, settings: RunSettings, record: dict[str, Any]) -> None:
        try:
            held = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(f"{file} is damaged ({error}); start again with another --out") from error
        differences = settings.differences(held)
        if held.get("fingerprint") != record["fingerprint"]:
            differences.append(
                f"the dataset was another ({held.get('dataset')}, fingerprint {held.get('fingerprint')})"
            )
        if differences:
            raise InputError(f"cannot go on with {self.path} under other settings: {'; '.join(differences)}")

    def checkpoint(self, stage: str) -> Path:
        """The checkpoint of a stage."""
        return self.checkpoints / f"{stage}.ckpt"

    def epochs(self) -> list[dict[str, Any]]:
        """The records of ``metrics.jsonl``."""
        file = self.path / "metrics.jsonl"
        if not file.is_file():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    def write_epochs(self, records: list[dict[str, Any]]) -> None:
        """Write ``metrics.jsonl`` anew, so that it tells of exactly the epochs that the weights have seen."""
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in records))

    def write_result(self, result: dict[str, Any]) -> None:
        """Write ``result.json``."""
        write_text(self.path / "result.json", json.dumps(result, indent=1) + "\n")


def read_settings(run: RunFolder) -> tuple[Settings, dict[str, Any]]:
    """The settings of a run, and all that its ``settings.json`` holds.

    Raises:
        ModelError: it is no run folder, or ``settings.json`` is damaged.
    """
    file = run.path / "settings.json"
    if not file.is_file():
        raise ModelError(f"{run.path} is no run folder: it holds no settings.json")
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
        return Settings(**{name: held[name] for name in Settings().as_dict()}), held
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file} is damaged ({error}); train the model again") from error


def held_origin(out: Path, name: str) -> tuple[bool, Any]:
    """Whether a folder holds a run, and what its ``settings.json`` says that it came from; None for anew.

    Raises:
        ModelError: ``settings.json`` is damaged.
    """
    file = out / "settings.json"
    if not file.is_file():
        return False, None
    try:
        return True, json.loads(file.read_text(encoding="utf-8")).get(name)
    except ValueError as error:
        raise ModelError(f"{file} is damaged ({error}); start again with another --out") from error
