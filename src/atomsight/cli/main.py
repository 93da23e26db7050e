"""The ``atomsight`` command: its verbs, and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from atomsight import __version__
from atomsight.cli import (
    bonds,
    check,
    cite,
    dataset,
    dedupe,
    distances,
    evaluate,
    grow,
    growing,
    mistakes,
    models,
    neighbours,
    predict,
    rank,
    repair,
    report,
    serve,
    sweep,
    train,
)
from atomsight.errors import AtomsightError, InputError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 + SIGINT."""

app = typer.Typer(
    name="atomsight",
    help="Reads a crystal as bare points in space and says which element sits on every site.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"atomsight {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Reads a crystal as bare points in space and says which element sits on every site."""


dataset.app.command(epilog=dedupe.EPILOG)(dedupe.dedupe)
dataset.app.command(epilog=growing.MERGE_EPILOG)(growing.merge)
dataset.app.command(epilog=growing.ADD_EPILOG)(growing.add)
dataset.app.command("split-like", epilog=growing.SPLIT_LIKE_EPILOG)(growing.split_like)
dataset.app.command(epilog=repair.EPILOG)(repair.repair)
app.add_typer(dataset.app, name="dataset")
app.command(epilog=neighbours.EPILOG)(neighbours.neighbours)
app.command(epilog=predict.EPILOG)(predict.predict)
app.command(epilog=rank.EPILOG)(rank.rank)
app.command(epilog=check.EPILOG)(check.check)
app.command(epilog=train.EPILOG)(train.train)
app.command(epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command(epilog=sweep.EPILOG)(sweep.sweep)
app.command(epilog=grow.EPILOG)(grow.grow)
app.command(epilog=distances.EPILOG)(distances.distances)
app.command(epilog=bonds.EPILOG)(bonds.bonds)
app.command(epilog=mistakes.EPILOG)(mistakes.mistakes)
app.command(epilog=report.EPILOG)(report.report)
app.command(epilog=serve.EPILOG)(serve.serve)
app.command(epilog=models.EPILOG)(models.models)
app.command(epilog=cite.EPILOG)(cite.cite)


def _kept(interrupt: BaseException | None) -> str:
    """What the verb that was interrupted says of its work, in a note on the exception."""
    while interrupt is not None:
        if notes := getattr(interrupt, "__notes__", None):
            return "; ".join(notes)
        interrupt = interrupt.__context__
    return "builds and training runs go on where they stopped"


def run() -> None:
    """Entry point. Exit status: 0 at least one crystal handled, 1 none or a failure, 2 wrong usage."""
    try:
        app()
    except InputError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(2)
    except AtomsightError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # what Typer makes of Ctrl-C, without a word
            typer.secho(f"interrupted; {_kept(end)}", fg="yellow", err=True)
        raise


if __name__ == "__main__":
    run()
