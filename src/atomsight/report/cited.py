"""Which works a dataset, a run or a result rests on: for the end of a page, and for ``atomsight cite``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomsight.core.errors import AtomsightError
from atomsight.report.inputs import Input, places_of, read_json

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

CORPORA = {
    "core-mof": ("2019-fsr", "2019-asr", "2014", "core"),
    "qmof": ("qmof",),
    "materials-project": ("materials-project", "mp-"),
    "curated-cofs": ("curated-cofs", "cofs"),
    "cod": ("cod",),
}
"""How the names of the archives of a corpus begin, by the name of the work to cite."""

DATASET = ("amd", "pdd", "gemmi")
DISTANCES = ("bond-lengths", "diffusion-kde", "student-mixture")
PERCEIVED = ("covalent-radii",)
EVALUATION = ("calibration", "selective")
SWEEP = ("bootstrap", "resampled-seeds", "fixed-sequence", "holm", "one-standard-error")
TRAINED = ("calibration",)
GROWN = ("net2net",)
ISOTYPES = ("substitutions", "opinion-pools")

MODELS = {
    "two-stage": ("amd", "pdd", "soap"),
    "masked-site-isotypes": ("amd", "pdd", "crystal-graphs", "power-spectrum", *ISOTYPES),
    "masked-site": ("amd", "pdd", "crystal-graphs", "power-spectrum"),
}
"""Works to cite, by kind of model."""


@dataclass(frozen=True)
class Cited:
    """What to cite.

    Attributes:
        works: names of works in `atomsight.citations`, by alphabet.
        absent: datasets that results came from and that are not at hand, so that their corpora are missing.
    """

    works: tuple[str, ...]
    absent: tuple[str, ...]


def works_cited(given: Sequence[Input]) -> Cited:
    """The works that folders rest on, and the corpora that their crystals came from.

    Raises:
        DatasetError: a file of a folder is missing or damaged.
    """
    gathered = _Gathered()
    for one in given:
        gathered.add(one.kind, one.path)
    return Cited(tuple(sorted(gathered.works)), tuple(sorted(gathered.absent)))


def corpora_cited(sources: Iterable[str]) -> tuple[str, ...]:
    """Works to cite for archives or folders of these names."""
    names = {source.replace("\\", "/").rstrip("/").split("/")[-1].lower() for source in sources}
    return tuple(
        work for work, heads in CORPORA.items() if any(name.startswith(heads) for name in sorted(names))
    )


class _Gathered:
    """Works so far; each dataset is opened once."""

    def __init__(self) -> None:
        self.works: set[str] = {"atomsight"}
        self.absent: set[str] = set()
        self.told: set[str] = set()

    def add(self, kind: str, path: Path) -> None:
        if kind == "dataset":
            from atomsight.dataset import open_dataset

            self._dataset(open_dataset(path))
        elif kind == "run":
            self._run(path)
        elif kind == "sweep":
            held = read_json(path / "sweep.json")
            self.works.update(SWEEP, TRAINED, _model(held.get("settings", {}).get("model")))
            self._from(held.get("dataset"), held.get("dataset_fingerprint"), path)
        elif kind != "mistakes":  # these do not say where they come from
            summary = read_json(path / "summary.json")
            if kind == "distances":
                self.works.update(DISTANCES)
            elif kind == "bonds":
                self.works.update(PERCEIVED if summary.get("bonds_from") == "perceive" else ())
            else:
                self.works.update(EVALUATION)
                self._evaluated(str(summary.get("model")), path)
            self._from(summary.get("dataset"), summary.get("dataset_fingerprint"), path)

    def _run(self, path: Path) -> None:
        settings = read_json(path / "settings.json")
        self.works.update(TRAINED, _model(settings.get("model")))
        self.works.update(GROWN if (path / "grown.json").is_file() else ())
        self._from(settings.get("dataset"), settings.get("fingerprint"), path)

    def _evaluated(self, model: str, near: Path) -> None:
        """The model of an evaluation: a run that is at hand, or a bundled one."""
        inside = near.resolve().parent  # RUN/evaluation is where a report and the docs keep it
        for place in (*([inside] if inside.name == Path(model).name else []), *places_of(model, near)):
            if (place / "settings.json").is_file():
                self._run(place)
                return
        self.works.update(_model(model))

    def _from(self, dataset: str | None, fingerprint: str | None, near: Path) -> None:
        """The dataset that a result names, where it is still the same."""
        from atomsight.dataset import open_dataset

        if not dataset or fingerprint in self.told:
            return
        for place in places_of(dataset, near):
            try:
                found = open_dataset(place)
            except (AtomsightError, OSError):
                continue
            if found.fingerprint == fingerprint:
                self._dataset(found)
                return
        self.absent.add(dataset)

    def _dataset(self, dataset: Dataset) -> None:
        self.told.add(dataset.fingerprint)
        self.works.update(DATASET)
        self.works.update(PERCEIVED if dataset.metadata["build"].get("bonds") == "perceive" else ())
        sources = dataset.crystals(["source"]).column("source").to_pylist()
        self.works.update(corpora_cited({place for source in sources for place in _places(source)}))


def _places(source: str) -> tuple[str, ...]:
    """The archive and the folder that a crystal was read from."""
    archive, _, member = source.partition("::")
    folder = (member or archive).rpartition("/")[0]
    return tuple(filter(None, (archive if member else "", folder))) or (source,)


def _model(name: Any) -> tuple[str, ...]:
    """Works of a model, from the name of its kind or of a bundled one."""
    return next((works for kind, works in MODELS.items() if str(name).startswith(kind)), ())
