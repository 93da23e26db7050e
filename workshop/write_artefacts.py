"""Write the manifest of the shipped files.

    python -m workshop.write_artefacts

Run it after a shipped file was replaced. The files of calibrations state what they were fitted with. A
calibration that does not fit the present files is reported; it cannot be loaded until it is fitted again.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from atomsight.check import reference
from atomsight.models import artefacts
from atomsight.models.artefacts import Artefact, sha256_of
from atomsight.rank.calibration import VERSION, RankCalibration

FILES: dict[str, tuple[Callable[[Path], dict[str, str]], str]] = {
    "models/pretrained/*.onnx": (lambda path: {}, ""),
    "models/pretrained/*.sets.json": (
        lambda path: {_name(path).removesuffix(".sets"): _json(path)["model"]},
        "remove the file, then python -m workshop.sets MODEL DATASET",
    ),
    "check/check.json": (
        lambda path: {reference.MODEL: _json(path)["fingerprint"], "general": _json(path)["network"]},
        "python -m workshop.calibrate_check DATASET",
    ),
    "check/usual_distances.json": (lambda path: {}, "python -m workshop.calibrate_check DATASET --usual"),
    "models/pretrained/plausibility/*.onnx": (lambda path: {}, ""),
    "rank/rank.npz": (
        lambda path: RankCalibration.read(path).fitted_with,
        "python -m workshop.calibrate_rank, then calibrate_verdicts",
    ),
    "web/shipped/*.json.gz": (
        lambda path: json.loads(gzip.decompress(path.read_bytes())).get("fitted_with", {}),
        "python -m workshop.web_tables",
    ),
}
"""By pattern: a function that reads what a file was fitted with, and the command that makes the file."""

VERSIONS = {"rank/rank.npz": VERSION}
"""Format versions other than 1."""


def shipped() -> Iterator[Artefact]:
    """Yield the present shipped files in the order of `FILES`."""
    for pattern, (fitted_with, made_by) in FILES.items():
        for path in sorted(artefacts.ROOT.glob(pattern)):
            place = path.relative_to(artefacts.ROOT).as_posix()
            version = VERSIONS.get(place, 1)
            yield Artefact(_name(path), place, sha256_of(path), version, fitted_with(path), made_by)


def write_artefacts() -> list[str]:
    """Write the manifest.

    Returns:
        Sentences on calibrations that do not fit the present files.
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
    """Run the command line."""
    stale = write_artefacts()
    print(f"{artefacts.manifest_file()}: {len(artefacts.artefacts())} files")
    if stale:
        sys.exit("\n".join(stale))


if __name__ == "__main__":
    main()
