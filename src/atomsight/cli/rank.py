"""The verb ``rank``: rank candidate structures by plausibility."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from atomsight.cli import options
from atomsight.cli._display import progress_bar
from atomsight.cli._output import AGAIN, Saving, Skips, emit, err, finish, interruptible, out
from atomsight.cli.options import executor_of
from atomsight.core.errors import InputError, OutputError
from atomsight.core.files import write_bytes
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from atomsight.io import Member
    from atomsight.parallel.jobs import Source
    from atomsight.rank.ledger import Ranked

EPILOG = "Example: [bold]atomsight rank candidates.tar.xz --out order.csv --keep-dir survivors[/]"

FORMATS = (".csv", ".json", ".jsonl", ".parquet")


@interruptible(f"an unfinished ranking is not kept; {AGAIN}")
def rank(
    paths: options.Sources,
    risk: Annotated[
        float, Option(help="Largest probability of the verdict unlikely for a real structure, 0 to 0.5.")
    ] = 0.005,
    relaxed: Annotated[
        bool, Option("--relaxed", help="Inorganic candidates are relaxed, so that their volume counts.")
    ] = False,
    explain: Annotated[
        bool, Option("--explain", help="Report the sites and contacts that lower a score.")
    ] = False,
    to: Annotated[
        Path | None,
        Option("--out", "-o", metavar="FILE", help="Output file: .csv, .json, .jsonl or .parquet."),
    ] = None,
    keep_dir: Annotated[
        Path | None, Option(metavar="DIR", help="New folder for copies of the files with the verdict keep.")
    ] = None,
    show: Annotated[
        int, Option(min=0, help="Maximum number of printed candidates of each formula; 0 prints all.")
    ] = 10,
    threads: options.Threads = 0,
    workers: options.Workers = 1,
    cluster: options.Cluster = None,
    max_seconds: options.MaxSeconds = None,
    max_memory: options.MaxMemory = None,
    as_json: options.AsJson = False,
) -> None:
    """Rank candidate structures of each formula by plausibility, and find those not worth a relaxation.

    No energy is computed; a candidate takes milliseconds. Memory does not grow with their number.
    """
    from atomsight.core.files import check_file, check_folder
    from atomsight.core.progress import Progress
    from atomsight.parallel.jobs import sources_of
    from atomsight.rank.calibration import RankCalibration
    from atomsight.rank.ledger import Ledger
    from atomsight.rank.rank import score
    from atomsight.rank.verdicts import Verdicts
    from atomsight.rank.write import write_ranking

    if to is not None and to.suffix.lower() not in FORMATS:
        raise InputError(f"--out {to}: the name must end in {', '.join(FORMATS)}")
    if keep_dir is not None and keep_dir.exists() and (not keep_dir.is_dir() or any(keep_dir.iterdir())):
        raise InputError(f"--keep-dir {keep_dir} exists and is not an empty folder; name another")
    check_file("--out", to)
    check_folder("--keep-dir", keep_dir)
    skips = Skips(as_json)
    sources = sources_of(paths)
    verdicts = Verdicts(RankCalibration.load().combination(relaxed), risk)
    survivors = Survivors(keep_dir) if keep_dir is not None else None
    if survivors is not None:
        sources = survivors.watch(sources)
    handled = 0
    with Ledger(verdicts) as ledger, survivors or nullcontext():
        with executor_of(cluster, workers, max_seconds, max_memory) as pool, progress_bar("candidate") as bar:
            work = partial(score, threads=threads, on_skip=skips, executor=pool)
            for scored in work(sources, risk=risk, explain=explain, relaxed=relaxed):
                ledger.add(scored, survivors.add(scored) if survivors is not None else None)
                handled += 1
                bar(Progress("scoring", handled, skipped=skips.count))
        kept = ledger.kept()
        with Saving() as saving:
            if to is not None and handled:
                write_ranking(ledger.ordered(), to)
        with saving:
            if survivors is not None:
                survivors.keep(ledger.copies())
        if as_json:
            for ranked in ledger.ordered():
                emit(ranked.as_dict())
        else:
            _show(ledger.ordered(), show)
    if handled and not as_json:
        err.print(
            f"{counted(handled, 'candidate')}: {kept:,} to keep, {handled - kept:,} unlikely; a real "
            f"structure is called unlikely with a probability of at most {100 * risk:g} %"
        )
    finish(handled, saving)


class Survivors:
    """Copies of the files of candidates with the verdict ``keep``. A context manager.

    The verdicts are known only after the last candidate. Until then the copies are in a hidden folder, which
    is deleted at the end. After an error no further file is copied; `keep` raises the error, so that the
    ranking is not lost.

    Args:
        folder: folder for the copies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._drafts = folder / ".scored"
        self._failure: OutputError | None = None
        self._held: deque[Member] = deque()
        self._written: Path | None = None

    def __enter__(self) -> Survivors:
        return self

    def __exit__(self, *unused: object) -> None:
        shutil.rmtree(self._drafts, ignore_errors=True)

    def watch(self, sources: Iterator[Source]) -> Iterator[Source]:
        """Yield the sources unchanged, and keep each file in memory until a later file is scored."""
        from atomsight.io import Member

        for source in sources:
            if isinstance(source, Member):
                self._held.append(source)
            yield source

    def add(self, scored: Ranked) -> str | None:
        """Copy the file of a candidate, once.

        Args:
            scored: a candidate; candidates come in the order of their files.

        Returns:
            The name of the copy; None after an error.
        """
        while not _belongs_to(scored, self._held[0]):
            self._held.popleft()
            self._written = None
        if self._failure is not None:
            return None
        if self._written is not None:  # A file of several blocks is copied once.
            return self._written.name
        member = self._held[0]
        target = self._drafts / f"{member.name}.cif"
        number = 1
        while target.exists():
            number += 1
            target = self._drafts / f"{member.name}-{number}.cif"
        try:
            write_bytes(target, member.data)
        except OutputError as error:
            self._failure = error
            return None
        self._written = target
        return target.name

    def keep(self, names: Iterable[str]) -> None:
        """Move copies from the hidden folder to the folder.

        Args:
            names: names of the copies.

        Raises:
            OutputError: not all files could be copied.
        """
        for name in names:
            (self._drafts / name).replace(self.folder / name)
        if self._failure is not None:
            raise self._failure


def _belongs_to(scored: Ranked, member: Member) -> bool:
    """Return whether a candidate was read from a file, or from one of its blocks."""
    return scored.source == member.source or scored.source.startswith(f"{member.source}#")


def _show(ordered: Iterator[Ranked], most: int) -> None:
    from rich.text import Text

    last, hidden = None, 0
    for ranked in ordered:
        if ranked.formula != last:
            _show_hidden(hidden)
            last, hidden = ranked.formula, 0
            out.print(Text(f"{ranked.formula}  {ranked.crystal_class}", style="bold"))
        if most and ranked.rank > most:
            hidden += 1
            continue
        style = "" if ranked.verdict == "keep" else "red"
        line = f"{ranked.rank:6}  {ranked.score:8.2f}  {ranked.verdict:8}  {ranked.crystal}"
        out.print(Text(line, style=style), soft_wrap=True)
        for sentence in ranked.evidence:
            out.print(Text(f"{'':28}{sentence}", style="dim"), soft_wrap=True)
    _show_hidden(hidden)


def _show_hidden(count: int) -> None:
    if count:
        out.print(f"{'':6}  … {count:,} more", style="dim")
