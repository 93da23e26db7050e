"""Works that a dataset, a run or a result rests on, for the report and for ``atomsight cite``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atomsight.dataset import Dataset, open_dataset
from atomsight.report.inputs import Input, find_dataset, places_of, read_json

CORPORA = {
    "core-mof": ("2019-fsr", "2019-asr", "2014", "core"),
    "qmof": ("qmof",),
    "materials-project": ("materials-project", "mp-"),
    "curated-cofs": ("curated-cofs", "cofs"),
    "cod": ("cod",),
}
"""Prefixes of the archive names of a corpus, by the work to cite."""

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
"""Works to cite, by architecture of the model."""


@dataclass(frozen=True)
class Works:
    """Works to cite.

    Attributes:
        names: Names of works in `atomsight.citations`, in alphabetical order.
        absent: Missing datasets of results. The corpora of their crystals are not among the works.
    """

    names: tuple[str, ...]
    absent: tuple[str, ...]


def find_works(inputs: Sequence[Input]) -> Works:
    """Find the works that folders rest on, and the corpora of their crystals.

    Raises:
        DatasetError: A file of a folder is missing or damaged.
    """
    collector = _Collector()
    for one in inputs:
        collector.add(one)
    return Works(tuple(sorted(collector.works)), tuple(sorted(collector.absent)))


def find_corpora(sources: Iterable[str]) -> tuple[str, ...]:
    """Find the works to cite for archives or folders of these names."""
    names = {source.replace("\\", "/").rstrip("/").split("/")[-1].lower() for source in sources}
    return tuple(work for work, heads in CORPORA.items() if any(name.startswith(heads) for name in names))


@dataclass
class _Collector:
    """Collects works. Each dataset is read once."""

    works: set[str] = field(default_factory=lambda: {"atomsight"})
    absent: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)

    def add(self, one: Input) -> None:
        content, path = one.content, one.path
        if content == "dataset":
            self._dataset(open_dataset(path))
        elif content == "run":
            self._run(path)
        elif content == "sweep":
            sweep = read_json(path / "sweep.json")
            self.works.update(SWEEP, TRAINED, _model(sweep.get("settings", {}).get("model")))
            self._dataset_of(sweep, path)
        elif content != "mistakes":  # its files do not name a dataset
            summary = read_json(path / "summary.json")
            if content == "distances":
                self.works.update(DISTANCES)
            elif content == "bonds":
                self.works.update(PERCEIVED if summary.get("bonds_from") == "perceive" else ())
            else:
                self.works.update(EVALUATION)
                self._evaluated(str(summary.get("model")), path)
            self._dataset_of(summary, path)

    def _run(self, path: Path) -> None:
        settings = read_json(path / "settings.json")
        self.works.update(TRAINED, _model(settings.get("model")))
        self.works.update(GROWN if (path / "grown.json").is_file() else ())
        self._dataset_of(settings, path, "fingerprint")

    def _evaluated(self, model: str, near: Path) -> None:
        """Add the works of the model of an evaluation: a run that is there, or a bundled model."""
        parent = near.resolve().parent  # a report keeps the evaluation in the run's folder
        for place in (*([parent] if parent.name == Path(model).name else []), *places_of(model, near)):
            if (place / "settings.json").is_file():
                self._run(place)
                return
        self.works.update(_model(model))

    def _dataset_of(self, record: Mapping[str, Any], near: Path, key: str = "dataset_fingerprint") -> None:
        """Add the works of the dataset that a result names, where it is unchanged."""
        if not record.get("dataset") or record.get(key) in self.read:
            return
        dataset = find_dataset(record, near, key)
        if dataset is None:
            self.absent.add(record["dataset"])
        else:
            self._dataset(dataset)

    def _dataset(self, dataset: Dataset) -> None:
        self.read.add(dataset.fingerprint)
        self.works.update(DATASET)
        self.works.update(PERCEIVED if dataset.metadata["build"].get("bonds") == "perceive" else ())
        sources = dataset.crystals(["source"]).column("source").to_pylist()
        self.works.update(find_corpora({place for source in sources for place in _places(source)}))


def _places(source: str) -> tuple[str, ...]:
    """Return the archive and the folder that a crystal was read from."""
    archive, _, member = source.partition("::")
    folder = (member or archive).rpartition("/")[0]
    return tuple(filter(None, (archive if member else "", folder))) or (source,)


def _model(name: Any) -> tuple[str, ...]:
    """Return the works of a model, from the name of its architecture or of a bundled model."""
    return next((works for kind, works in MODELS.items() if str(name).startswith(kind)), ())
