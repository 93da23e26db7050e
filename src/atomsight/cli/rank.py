"""``atomsight rank``: candidate structures in order, and those not worth a relaxation."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atomsight.cli._engine import Cluster, Workers, executor_for
from atomsight.cli._output import AGAIN, Saving, Skips, emit, err, finish, keeps, out
from atomsight.core.errors import InputError, OutputError
from atomsight.core.files import write_bytes
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from atomsight.io import Member
    from atomsight.parallel.jobs import Source
    from atomsight.rank.ledger import Ranked

EPILOG = "Example: [bold]atomsight rank candidates.tar.xz --out order.csv --keep-dir survivors[/]"

WRITTEN = (".csv", ".json", ".jsonl", ".parquet")


@keeps(f"an unfinished ranking is not kept; {AGAIN}")
def rank(
    paths: Annotated[
        list[Path], typer.Argument(metavar="CANDIDATES...", help="CIFs, folders, tar or zip archives.")
    ],
    risk: Annotated[
        float,
        typer.Option(
            help="Chance that a real structure is called unlikely is at most this: above 0, up to 0.5."
        ),
    ] = 0.005,
    relaxed: Annotated[
        bool,
        typer.Option("--relaxed", help="Trust the volume of inorganic candidates: they have been relaxed."),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say which sites and contacts speak against a structure.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write all: .csv, .json, .jsonl or .parquet."),
    ] = None,
    keep_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Copy the files of the survivors there.", show_default=False),
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="Candidates shown of each formula; 0 shows all.")] = 10,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the networks; 0 takes all cores.")] = 0,
    workers: Workers = 1,
    cluster: Cluster = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per candidate, in order.")] = False,
) -> None:
    """Order candidate structures by plausibility, within each formula, and say which are unlikely.

    No energy is computed: a candidate costs milliseconds. Any number of them streams through the same memory.
    """
    from atomsight.core.files import check_file, check_folder
    from atomsight.parallel.jobs import sources_of
    from atomsight.rank.calibration import RankCalibration
    from atomsight.rank.ledger import Ledger
    from atomsight.rank.rank import score
    from atomsight.rank.verdicts import Verdicts
    from atomsight.rank.write import write_ranking

    if to is not None and to.suffix.lower() not in WRITTEN:
        raise InputError(f"--out {to}: the name must end in {', '.join(WRITTEN)}")
    if keep_dir is not None and keep_dir.exists() and (not keep_dir.is_dir() or any(keep_dir.iterdir())):
        raise InputError(f"--keep-dir {keep_dir} is there already and not an empty folder; name another")
    check_file("--out", to)
    check_folder("--keep-dir", keep_dir)
    skips = Skips(as_json)
    sources = sources_of(paths)
    verdicts = Verdicts(RankCalibration.load().combination(relaxed), risk)
    survivors = Survivors(keep_dir) if keep_dir is not None else None
    if survivors is not None:
        sources = survivors.watched(sources)
    handled = 0
    with ExitStack() as held:
        ledger = held.enter_context(Ledger(verdicts))
        if survivors is not None:
            held.enter_context(survivors)
        with executor_for(cluster, workers) as executor, _progress() as advance:
            for scored in score(
                sources,
                risk=risk,
                explain=explain,
                relaxed=relaxed,
                threads=threads,
                on_skip=skips,
                executor=executor,
            ):
                ledger.add(scored, survivors.judge(scored) if survivors is not None else None)
                handled += 1
                advance(handled)
        kept = ledger.kept()
        saving = Saving()
        with saving:
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
            f"structure is called unlikely with a chance of at most {100 * risk:g} %",
        )
    finish(handled, saving)


class Survivors:
    """Copies the files of candidates into a hidden folder as they are scored, and keeps those that stand
    beside the others of their formula, which are known in the end. A context manager; the hidden folder goes.

    After an error of writing no further file is copied, and `keep` raises the error, so that the ranking is
    not lost.
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

    def watched(self, sources: Iterator[Source]) -> Iterator[Source]:
        """The sources, unchanged; a file's bytes are kept until a candidate of a later one is judged."""
        from atomsight.io import Member

        for source in sources:
            if isinstance(source, Member):
                self._held.append(source)
            yield source

    def judge(self, scored: Ranked) -> str | None:
        """Write the candidate's file where it is not written; the name of the copy, None after an error of
        writing. Candidates come in the order of their files."""
        while not _from(scored, self._held[0]):
            self._held.popleft()
            self._written = None
        if self._failure is not None:
            return None
        if self._written is not None:  # a file of several blocks is copied once
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
        """Bring copies out of the hidden folder.

        Raises:
            OutputError: not all files could be copied.
        """
        for name in names:
            (self._drafts / name).replace(self.folder / name)
        if self._failure is not None:
            raise self._failure


def _from(scored: Ranked, member: Member) -> bool:
    """Whether a candidate is the file's, or one of its blocks."""
    return scored.source == member.source or scored.source.startswith(f"{member.source}#")


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("candidates are read")

        def advance(handled: int) -> None:
            if handled % 16 == 0:
                progress.update(task, description=counted(handled, "candidate"))

        yield advance


def _show(ordered: Iterator[Ranked], most: int) -> None:
    from rich.text import Text

    last, hidden = None, 0
    for ranked in ordered:
        if ranked.formula != last:
            _hidden(hidden)
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
    _hidden(hidden)


def _hidden(count: int) -> None:
    if count:
        out.print(f"{'':6}  … {count:,} more", style="dim")
