"""One page from the folders that commands wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomsight.core.errors import InputError
from atomsight.core.files import check_file, write_text
from atomsight.core.version import __version__
from atomsight.dataset import Dataset, open_dataset
from atomsight.report.components import Section, page
from atomsight.report.inputs import Input, find_dataset, read_json, recognise
from atomsight.report.sections.bonds import bonds_section
from atomsight.report.sections.citations import citations_section
from atomsight.report.sections.dataset import dataset_section
from atomsight.report.sections.distances import distances_section
from atomsight.report.sections.evaluation import evaluation_section
from atomsight.report.sections.mistakes import MistakeOptions, mistakes_section
from atomsight.report.sections.run import run_section
from atomsight.report.sections.sweep import sweep_section
from atomsight.report.works import find_works

MOST_SITES = 3000
"""Default number of misclassified sites in a page. Each takes half a kilobyte."""


@dataclass(frozen=True)
class Report:
    """A page that was written.

    Attributes:
        path: Path of the page.
        sections: Its sections, in order.
        size: Its size in bytes.
    """

    path: Path
    sections: tuple[Section, ...]
    size: int


def write_report(
    paths: Sequence[Path],
    out: Path,
    *,
    title: str = "",
    near_duplicates: Mapping[str, set[str]] | None = None,
    most_sites: int = MOST_SITES,
    threads: int = 0,
    on_step: Callable[[str], None] = lambda step: None,
) -> Report:
    """Write a self-contained HTML page about datasets, runs and results.

    A run that has not been evaluated on ``test`` is evaluated, and the result is kept in its folder
    ``evaluation``.

    Args:
        paths: Folders of any type that `inputs.recognise` knows.
        out: The page.
        title: Title of the page. By default it is made of the folders' names.
        near_duplicates: Near duplicates of crystals, see `analyse_mistakes`.
        most_sites: Largest number of misclassified sites of each evaluation in the page.
        threads: Threads of the network, where a run is evaluated; 0 takes all cores.
        on_step: Called with a description of each step.

    Raises:
        InputError: A folder is of an unknown type, the dataset of a run is missing, or ``out`` is a folder.
        DatasetError, ModelError: A file that is read is damaged or unfinished.
        OutputError: The page cannot be written.
    """
    check_file("--out", out)
    inputs = recognise(paths)
    if not inputs:
        raise InputError("name at least one dataset, run or result folder")
    options = MistakeOptions(near_duplicates, most_sites, out.resolve().parent)
    maker = _SectionMaker(inputs, options, threads, on_step)
    sections = [section for number, one in enumerate(inputs, 1) for section in maker.sections(one, number)]
    works = {name for section in sections for name in section.cites}.union(find_works(inputs).names)
    sections.append(citations_section(works, [one.path for one in inputs]))
    heading = title or "Report on " + ", ".join(one.path.resolve().name for one in inputs)
    on_step("writing")
    text = page(heading, f"Made by atomsight {__version__}", sections)
    write_text(out, text)
    return Report(out, tuple(sections), len(text.encode("utf-8")))


_RESULT_SECTIONS: dict[str, Callable[[Path, int], Section]] = {
    "distances": distances_section,
    "bonds": bonds_section,
    "sweep": sweep_section,
}
"""Sections of the folders that need no dataset."""


@dataclass
class _SectionMaker:
    """Makes the sections of each folder, and keeps the opened datasets by fingerprint."""

    inputs: Sequence[Input]
    options: MistakeOptions
    threads: int
    on_step: Callable[[str], None]

    def __post_init__(self) -> None:
        self.datasets: dict[str, Dataset] = {}
        for one in self.inputs:
            if one.content == "dataset":
                self._open(one.path)

    def sections(self, one: Input, number: int) -> list[Section]:
        """Return the sections of one folder."""
        self.on_step(f"{one.content} {one.path}")
        if one.content == "dataset":
            return [dataset_section(self._open(one.path), number)]
        if one.content == "run":
            return self._run(one.path, number)
        if one.content == "evaluation":
            return [self._evaluation(one.path, number)]
        if one.content == "mistakes":
            return [mistakes_section(one.path, number, self.options)]
        return [_RESULT_SECTIONS[one.content](one.path, number)]

    def _open(self, path: Path) -> Dataset:
        dataset = open_dataset(path)
        return self.datasets.setdefault(dataset.fingerprint, dataset)

    def _find(self, record: Mapping[str, Any], near: Path, key: str) -> Dataset | None:
        """Return the dataset of a result, from the opened ones or from the path that the result names."""
        found = self.datasets.get(record.get(key, "")) or find_dataset(record, near, key)
        return found and self.datasets.setdefault(found.fingerprint, found)

    def _evaluation(self, path: Path, number: int) -> Section:
        dataset = self._find(read_json(path / "summary.json"), path, "dataset_fingerprint")
        return evaluation_section(path, number, dataset, self.options)

    def _run(self, path: Path, number: int) -> list[Section]:
        sections = [run_section(path, number)]
        if not (path / "model.onnx").is_file():
            return sections
        folder = path / "evaluation"
        if not (folder / "summary.json").is_file():
            from atomsight.evaluate.result import evaluate
            from atomsight.plots.evaluation import draw_evaluation

            settings = read_json(path / "settings.json")
            dataset = self._find(settings, path, "fingerprint")
            if dataset is None:
                raise InputError(
                    f"{path} has not been evaluated, and its dataset {settings.get('dataset')} is missing: "
                    f"name the dataset too, or run atomsight evaluate {path} DATASET --out {folder}"
                )
            self.on_step(f"evaluating {path}")
            evaluate(path, dataset, out=folder, threads=self.threads, draw=draw_evaluation)
        return [*sections, self._evaluation(folder, number)]
