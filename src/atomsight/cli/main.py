"""The ``atomsight`` command: all verbs, and the conversion of errors to messages and exit statuses."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, NoReturn

import typer
from typer import Option

from atomsight.cli import dataset
from atomsight.cli._output import err
from atomsight.core.errors import AtomsightError, InputError
from atomsight.core.version import __version__

VERBS = ["neighbours", "predict", "rank", "check", "train", "evaluate", "sweep", "grow"]
VERBS += ["distances", "bonds", "mistakes", "report", "serve", "models", "cite"]
"""Verbs in the order of the help; each is a function in the module of its name, next to its `EPILOG`."""

app = typer.Typer(
    name="atomsight",
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
        bool, Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Predict the elements of crystal structures from atomic positions, and find errors in structures."""


for _name in ("dedupe", "dataset_update"):
    import_module(f"atomsight.cli.{_name}")
app.add_typer(dataset.app, name="dataset")
for _name in VERBS:
    _module = import_module(f"atomsight.cli.{_name}")
    app.command(epilog=_module.EPILOG)(getattr(_module, _name))


def run() -> None:
    """Run the command line.

    The exit status is 0 if at least one crystal was handled, 1 if none was or after a failure, 2 after wrong
    usage, and 130 after Ctrl-C.
    """
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        sys.exit(1)
    except AtomsightError as error:
        _fail(str(error), 2 if isinstance(error, InputError) else 1)
    except Exception as error:
        message = _system_error(error)
        if message is None:
            raise
        _discard_output()
        _fail(message, 1)


def _fail(message: str, status: int) -> NoReturn:
    err.print(f"error: {message}", style="red", soft_wrap=True)
    sys.exit(status)


def _discard_output() -> None:
    """Discard buffered output, which Python would otherwise write at exit."""
    if sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())


def _system_error(error: Exception) -> str | None:
    """Return one line about a failed file operation; None for other errors."""
    from sqlite3 import Error as DatabaseError
    from tempfile import gettempdir

    from atomsight.core.files import reason

    if isinstance(error, OSError):
        if error.filename is not None:
            return f"{error.filename}: {reason(error)}"
        return f"{reason(error)}; temporary files are in {gettempdir()}, which TMPDIR changes"
    duckdb = sys.modules.get("duckdb")
    if isinstance(error, DatabaseError) or (duckdb is not None and isinstance(error, duckdb.IOException)):
        return f"{error}; temporary files are in {gettempdir()}, which TMPDIR changes"
    return None


if __name__ == "__main__":
    run()
