"""Rankings for the page: the job, the table, the files of kept candidates."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi

from atomsight.core.crystal import Crystal
from atomsight.io import iter_members
from atomsight.parallel.pool import Limits
from atomsight.rank.ledger import Ledger, Ranked
from atomsight.rank.rank import RISK, Ranker
from atomsight.rank.verdicts import Verdicts
from atomsight.web.jobs import Job
from atomsight.web.reading import LIMITS, Capacity, read_upload

MOST_CANDIDATES = 200_000
"""Most candidates of one job; their records stay in memory."""

CAPACITY = Capacity(
    MOST_CANDIDATES,
    lambda crystal: 1,
    f"The page ranks at most {MOST_CANDIDATES:,} candidates at a time; the others were left out. "
    "atomsight rank has no such limit",
)

AVOGADRO = 0.602214076
"""Conversion of density: mass of a cell in u, divided by its volume in Å³ and by this number, is in g/cm³."""


class Ranking:
    """Candidates scored so far.

    Attributes:
        ledger: the candidates, their order and their verdicts.
        densities: density in g/cm³ by source.
    """

    def __init__(self, verdicts: Verdicts | None = None) -> None:
        self.ledger = Ledger(verdicts, in_memory=True)
        self.densities: dict[str, float] = {}


def rank_job(
    job: Job, risk: float = RISK, relaxed: bool = False, threads: int = 0, limits: Limits = LIMITS
) -> None:
    """Rank the candidates of an upload; `Job.result` is a `Ranking` that is filled meanwhile."""
    job.count()
    ranker = Ranker(risk, explain=True, relaxed=relaxed, threads=threads)
    ranking = job.result = Ranking(ranker.verdicts)
    for scored in ranker.stream(_add_densities(read_upload(job, limits, CAPACITY), ranking)):
        ranking.ledger.add(scored)
        job.advance(scored.verdict == "keep")
    job.marked = ranking.ledger.kept()


def _add_densities(crystals: Iterator[Crystal], ranking: Ranking) -> Iterator[Crystal]:
    for crystal in crystals:
        ranking.densities[crystal.source] = density(crystal)
        yield crystal


def density(crystal: Crystal) -> float:
    """Return the density of a crystal in g/cm³."""
    mass = sum(gemmi.Element(symbol).weight * count for symbol, count in crystal.counts.items())
    return round(mass / crystal.volume / AVOGADRO, 4)


def shown(job: Job) -> list[Ranked]:
    """Return the candidates scored so far in order, without the folder on this machine."""
    ranking: Ranking = job.result or Ranking()
    return [replace(one, source=job.upload.shown(one.source)) for one in ranking.ledger.ordered()]


def rows(job: Job) -> list[dict[str, Any]]:
    """Return the candidates scored so far in order for JSON, with their densities."""
    ranking: Ranking = job.result or Ranking()
    return [
        {
            **one.as_dict(),
            "source": job.upload.shown(one.source),
            "density": ranking.densities[one.source],
            "evidence": list(one.evidence),
        }
        for one in ranking.ledger.ordered()
    ]


def write_survivors(job: Job, target: Path) -> int:
    """Write a zip of the files that contain a candidate with the verdict ``keep``.

    The names inside are those of the upload, never paths of this machine.

    Returns:
        The number of files.
    """
    ranking: Ranking = job.result or Ranking()
    kept = {one.source.partition("#")[0] for one in ranking.ledger.ordered() if one.verdict == "keep"}
    used: set[str] = set()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in iter_members(job.upload.paths):
            if member.source.partition("#")[0] not in kept:
                continue
            base = member.source.replace("::", "/").rsplit("/", 1)[-1].partition("#")[0]
            stem, dot, suffix = base.rpartition(".")
            name, number = base, 1
            while name in used:
                number += 1
                name = f"{stem or suffix}-{number}{dot if stem else ''}{suffix if stem else ''}"
            used.add(name)
            archive.writestr(name, member.data)
    return len(used)
