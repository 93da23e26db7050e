"""Write the manifest of the shipped files.

    python -m workshop.write_artefacts

Run it after a shipped file was replaced. What a calibration was fitted with is read from the calibration
itself: one that does not fit the files present is reported, and stays refused until it is fitted again.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from atomsight.check import reference as calibration
from atomsight.models import artefacts
from atomsight.models.artefacts import Artefact, sha256_of
from atomsight.rank import calibration as rank_calibration
from atomsight.rank.calibration import RankCalibration


def _nothing(path: Path) -> dict[str, str]:
    return {}


def _of_check(path: Path) -> dict[str, str]:
    held = _json(path)
    return {calibration.MODEL: held["fingerprint"], "general": held["network"]}


def _of_sets(path: Path) -> dict[str, str]:
    return {_name(path).removesuffix(".sets"): _json(path)["model"]}


def _of_rank(path: Path) -> dict[str, str]:
    return RankCalibration.read(path).fitted_with


def _of_page(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(gzip.decompress(path.read_bytes())).get("fitted_with", {})
    return found


FILES: dict[str, tuple[Callable[[Path], dict[str, str]], str, int]] = {
    "models/pretrained/*.onnx": (_nothing, "", 1),
    "models/pretrained/*.sets.json": (
        _of_sets,
        "remove the file, then python -m workshop.sets MODEL DATASET",
        1,
    ),
    "check/check.json": (_of_check, "python -m workshop.calibrate_check DATASET", 1),
    "check/usual_distances.json": (_nothing, "python -m workshop.calibrate_check DATASET --usual", 1),
    "models/pretrained/plausibility/*.onnx": (_nothing, "", 1),
    "rank/rank.npz": (
        _of_rank,
        "python -m workshop.calibrate_rank, then calibrate_verdicts",
        rank_calibration.VERSION,
    ),
    "web/shipped/*.json.gz": (_of_page, "python -m workshop.web_tables", 1),
}
"""By pattern: how to find what a file was fitted with, the command that makes it, and its format version."""


def shipped() -> Iterator[Artefact]:
    """The shipped files as they are, in the order of `FILES`."""
    for pattern, (fitted_with, made_by, version) in FILES.items():
        for path in sorted(artefacts.ROOT.glob(pattern)):
            place = path.relative_to(artefacts.ROOT).as_posix()
            yield Artefact(_name(path), place, sha256_of(path), version, fitted_with(path), made_by)


def write_artefacts() -> list[str]:
    """Write the manifest.

    Returns:
        Sentences on calibrations that were fitted with other files than those present.
    """
    found = list(shipped())
    held = {"format_version": artefacts.VERSION, "artefacts": [asdict(one) for one in found]}
    artefacts.manifest_file().write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    present = {one.name: one.sha256 for one in found}
    return [
        f"{one.path} was fitted with another file than the present {name}; fit it again: {one.made_by}"
        for one in found
        for name, expected in one.calibrated_with.items()
        if present.get(name) != expected
    ]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(path.suffix).removesuffix(".json")


def main() -> None:
    """The command of the module's docstring."""
    stale = write_artefacts()
    print(f"{artefacts.manifest_file()}: {len(artefacts.artefacts())} files")
    if stale:
        sys.exit("\n".join(stale))


if __name__ == "__main__":
    main()
