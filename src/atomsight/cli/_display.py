"""Tables, figures and progress bars of the verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from atomsight.cli._output import err, out
from atomsight.core.wording import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from atomsight.core.progress import OnProgress, Progress


def show_table(
    columns: Sequence[str], align: str, rows: Iterable[Sequence[str | Text]], title: str | None = None
) -> None:
    """Print a table on standard output.

    Args:
        columns: headings.
        align: ``l`` or ``r`` for each column. Text in left columns is wrapped, in right columns it is not.
        rows: one cell per column.
        title: printed above the table.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for column, side in zip(columns, align, strict=True):
        if side == "r":
            table.add_column(column, justify="right", no_wrap=True)
        else:
            table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)


def show_pairs(*pairs: tuple[str, str | Text]) -> None:
    """Print names and values in two columns on standard output."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, value in pairs:
        table.add_row(name, value)
    out.print(table)


def save_figures(folder: Path, figures: Iterable[tuple[str, Figure]]) -> None:
    """Write each figure as PNG and SVG.

    Args:
        folder: where the files are written.
        figures: names without suffix, and figures; drawn one at a time when this is an iterator.
    """
    from atomsight.plots.style import save

    with err.status("drawing"):
        for name, figure in figures:
            save(figure, [folder / f"{name}.png", folder / f"{name}.svg"])


@contextmanager
def progress_bar(
    unit: str = "", on_record: Callable[[Progress], None] = lambda now: None
) -> Iterator[OnProgress]:
    """Show a progress bar on standard error, which disappears at the end.

    Args:
        unit: noun of what is counted in stages of unknown length; empty shows no count.
        on_record: receives each progress with a record, such as the scores of an epoch.
    """
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    texts = TextColumn("{task.description}"), TextColumn("{task.fields[counts]}")
    with Bar(
        SpinnerColumn(), texts[0], BarColumn(30), texts[1], TimeElapsedColumn(), console=err, transient=True
    ) as bar:
        task = bar.add_task("starting", total=None, counts="")

        def show(now: Progress) -> None:
            if now.record:
                on_record(now)
                return
            stage = now.stage if now.epoch is None else f"{now.stage} {now.epoch}/{now.epochs}"
            counts = _counts(now, unit, bar.tasks[0].elapsed or 0.0)
            bar.update(task, description=stage, completed=now.done, total=now.total, counts=counts)

        yield show


def _counts(now: Progress, unit: str, seconds: float) -> str:
    """Return the counts of a progress, and the rate after some seconds."""
    counts = [f"{now.done:,}/{now.total:,}"] if now.total is not None else []
    if unit and now.total is None:
        counts.append(counted(now.done, unit))
    if now.sites:
        counts.append(counted(now.sites, "site"))
    if now.skipped:
        counts.append(f"{now.skipped:,} skipped")
    if unit and now.total is None and seconds > 1:
        counts.append(f"{(now.done - now.resumed) / seconds:,.0f}/s")
    return ", ".join(counts)
