"""One page from the folders that commands left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from atomsight.core.errors import AtomsightError, InputError
from atomsight.core.files import check_file, write_text
from atomsight.core.version import __version__
from atomsight.report.components import Section, page
from atomsight.report.inputs import Input, places_of, read_json, recognise

if TYPE_CHECKING:
    from atomsight.dataset import Dataset

MOST_SITES = 3000
"""Misclassified sites in a page, by default; each takes half a kilobyte."""


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        path: of the page.
        sections: its sections, in order.
        size: bytes.
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

    A run that has not been evaluated on ``test`` is, and the result kept in its folder ``evaluation``.

    Args:
        paths: folders of any kind that `inputs.recognise` knows.
        out: the page.
        title: of the page; else made of the folders' names.
        near_duplicates: see `analyse_mistakes`.
        most_sites: misclassified sites of each evaluation that the page holds.
        threads: of the network, where a run is evaluated; 0 takes all cores.
        on_step: told what is being done.

    Raises:
        InputError: a folder that is not known, a run whose dataset is not at hand, or
            a page that is a folder.
        DatasetError, ModelError: what is read is damaged or unfinished.
        OutputError: the page cannot be written.
    """
    check_file("--out", out)
    given = recognise(paths)
    if not given:
        raise InputError("name at least one dataset, run or result folder")
    beside = out.resolve().parent
    teller = _Teller(given, near_duplicates, most_sites, threads, beside, on_step)
    sections = [section for number, one in enumerate(given, 1) for section in teller.tell(one, number)]
    from atomsight.report.cited import works_cited
    from atomsight.report.sections.citations import citations_section

    drawn = {name for section in sections for name in section.cites}
    sections.append(citations_section(drawn.union(works_cited(given).works), [one.path for one in given]))
    heading = title or "Report on " + ", ".join(one.path.resolve().name for one in given)
    on_step("writing")
    text = page(heading, f"Made by atomsight {__version__}", sections)
    write_text(out, text)
    return Report(out, tuple(sections), len(text.encode("utf-8")))


class _Teller:
    """Makes the sections of each folder, and keeps the datasets that were opened."""

    def __init__(
        self,
        given: Sequence[Input],
        near_duplicates: Mapping[str, set[str]] | None,
        most: int,
        threads: int,
        beside: Path,
        on_step: Callable[[str], None],
    ) -> None:
        self.near_duplicates, self.most, self.threads = near_duplicates, most, threads
        self.beside, self.on_step = beside, on_step
        self.datasets: dict[str, Dataset] = {}
        for one in given:
            if one.kind == "dataset":
                self._open(one.path)

    def _open(self, path: Path) -> Dataset:
        from atomsight.dataset import open_dataset

        dataset = open_dataset(path)
        return self.datasets.setdefault(dataset.fingerprint, dataset)

    def _find(self, fingerprint: str | None, path: str | None, near: Path) -> Dataset | None:
        """The dataset of a fingerprint: among those named, else where its path leads from here or from the
        folder that names it."""
        if fingerprint in self.datasets:
            return self.datasets[fingerprint]
        for place in places_of(path, near) if path else ():
            try:
                dataset = self._open(place)
            except (AtomsightError, OSError):
                continue
            if dataset.fingerprint == fingerprint:
                return dataset
        return None

    def tell(self, one: Input, number: int) -> list[Section]:
        """The sections of one folder."""
        self.on_step(f"{one.kind} {one.path}")
        if one.kind == "dataset":
            from atomsight.report.sections.dataset import dataset_section

            return [dataset_section(self._open(one.path), number)]
        if one.kind == "run":
            return self._run(one.path, number)
        if one.kind == "evaluation":
            return [self._evaluation(one.path, number)]
        if one.kind == "mistakes":
            from atomsight.report.sections.mistakes import mistakes_section

            return [mistakes_section(one, number, self.beside, self.most)]
        if one.kind == "distances":
            from atomsight.report.sections.distances import distances_section

            return [distances_section(one, number)]
        if one.kind == "bonds":
            from atomsight.report.sections.bonds import bonds_section

            return [bonds_section(one, number)]
        from atomsight.report.sections.sweep import sweep_section

        return [sweep_section(one, number)]

    def _evaluation(self, path: Path, number: int) -> Section:
        from atomsight.report.sections.evaluation import evaluation_section

        summary = read_json(path / "summary.json")
        dataset = self._find(summary.get("dataset_fingerprint"), summary.get("dataset"), path)
        return evaluation_section(
            path,
            number,
            dataset,
            near_duplicates=self.near_duplicates,
            most=self.most,
            beside=self.beside,
        )

    def _run(self, path: Path, number: int) -> list[Section]:
        from atomsight.report.sections.run import run_section

        sections = [run_section(path, number)]
        if not (path / "model.onnx").is_file():
            return sections
        folder = path / "evaluation"
        if not (folder / "summary.json").is_file():
            from atomsight.evaluate.result import evaluate
            from atomsight.plots.evaluation import draw_evaluation

            settings = read_json(path / "settings.json")
            dataset = self._find(settings.get("fingerprint"), settings.get("dataset"), path)
            if dataset is None:
                raise InputError(
                    f"{path} has not been evaluated, and its dataset {settings.get('dataset')} is not here: "
                    f"name the dataset too, or run atomsight evaluate {path} DATASET --out {folder}"
                )
            self.on_step(f"evaluating {path}")
            evaluate(path, dataset, out=folder, threads=self.threads, draw=draw_evaluation)
        return [*sections, self._evaluation(folder, number)]
