"""Candidates ranked for the page: the job, the table, the survivors."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gemmi

from atomsight.crystal import Crystal
from atomsight.readers import iter_members, read
from atomsight.screen.rank import RISK, Ranked, Ranker
from atomsight.screen.verdicts import Verdicts, sort_of
from atomsight.web.jobs import Job

MOST_CANDIDATES = 200_000
"""Of one job: their records stay in memory."""

AVOGADRO = 0.602214076
"""Å³/cm³ times the number of particles in a mole: a cell's mass in u over its volume in Å³ times this is
g/cm³."""


@dataclass
class Ranking:
    """Candidates scored so far.

    Attributes:
        scored: in the order of the files; all of rank 0, each judged by itself.
        densities: g/cm³, by source.
        verdicts: judges them beside each other, where a formula has enough.
    """

    scored: list[Ranked] = field(default_factory=list)
    densities: dict[str, float] = field(default_factory=dict)
    verdicts: Verdicts | None = None

    def ordered(self) -> list[Ranked]:
        """Formula by formula, the best first, equals by name, as the command line has it."""
        found = sorted(self.scored, key=lambda one: (one.formula, -one.score, one.crystal, one.source))
        best: dict[str, float] = {}
        among = Counter(one.formula for one in found)
        rank, last = 0, None
        for place, one in enumerate(found):
            rank = rank + 1 if one.formula == last else 1
            last = one.formula
            if self.verdicts is None:
                found[place] = replace(one, rank=rank)
                continue
            sort, top = sort_of(one.kind, one.formula), best.setdefault(one.formula, one.score)
            found[place] = replace(
                one,
                rank=rank,
                verdict=self.verdicts.beside(sort, one.score, top, among[one.formula]),
                evidence=one.evidence + self.verdicts.words(sort, one.score, top, among[one.formula]),
            )
        return found


def rank_job(job: Job, risk: float = RISK, relaxed: bool = False, threads: int = 0) -> None:
    """Rank the candidates of an upload; `Job.result` is a `Ranking` that grows."""
    ranking = job.result = Ranking()
    job.count()
    ranker = Ranker(risk, explain=True, relaxed=relaxed, threads=threads)
    ranking.verdicts = ranker.verdicts
    for scored in ranker.stream(_noted(read(job.upload.paths, on_skip=job.skip), ranking, job)):
        ranking.scored.append(scored)
        job.advance(scored.verdict == "keep")
    job.marked = sum(one.verdict == "keep" for one in ranking.ordered())


def _noted(crystals: Iterator[Crystal], ranking: Ranking, job: Job) -> Iterator[Crystal]:
    for crystal in crystals:
        job.advance()
        job.begin(crystal.source)
        if len(ranking.densities) >= MOST_CANDIDATES:
            job.message = (
                f"the page holds {MOST_CANDIDATES:,} candidates at a time; the others were left out. "
                "atomsight rank has no such limit"
            )
            return
        ranking.densities[crystal.source] = density(crystal)
        yield crystal


def density(crystal: Crystal) -> float:
    """g/cm³."""
    mass = sum(gemmi.Element(symbol).weight * count for symbol, count in crystal.counts.items())
    return round(mass / crystal.volume / AVOGADRO, 4)


def shown(job: Job) -> list[Ranked]:
    """The candidates scored so far, in order, without the folder on this machine."""
    ranking: Ranking = job.result or Ranking()
    return [replace(one, source=job.upload.shown(one.source)) for one in ranking.ordered()]


def rows(job: Job) -> list[dict[str, Any]]:
    """The same for JSON, with their densities."""
    ranking: Ranking = job.result or Ranking()
    return [
        {
            **one.as_dict(),
            "source": job.upload.shown(one.source),
            "density": ranking.densities[one.source],
            "evidence": list(one.evidence),
        }
        for one in ranking.ordered()
    ]


def write_survivors(job: Job, target: Path) -> int:
    """Write a zip of the files that hold a candidate to keep; returns how many.

    Their names inside are those of the upload, never a path of this machine.
    """
    ranking: Ranking = job.result or Ranking()
    kept = {one.source.partition("#")[0] for one in ranking.ordered() if one.verdict == "keep"}
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
