"""What all verbs share: help with an example, and a word after Ctrl-C."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from atomsight.cli import main
from atomsight.cli.main import app

COMMAND = [sys.executable, "-m", "atomsight"]


CRYSTALS = Path(__file__).parents[2] / "examples" / "crystals.tar.xz"


def verbs() -> list[tuple[str, ...]]:
    """Every verb by its words: ``("predict",)``, ``("dataset", "build")``."""
    top = get_command(app).commands  # type: ignore[attr-defined]
    return [
        (name, *rest)
        for name, command in top.items()
        for rest in ([(sub,) for sub in command.commands] if hasattr(command, "commands") else [()])
    ]


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_help_ends_with_an_example(verb: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*verb, "--help"], terminal_width=120)
    assert result.exit_code == 0
    assert f"Example: atomsight {' '.join(verb)}" in " ".join(result.stdout.split())


def test_the_defaults_of_grow_are_those_of_the_library() -> None:
    from atomsight.training.grow import EPOCHS, LEARNING_RATE

    options = {option.name: option.default for option in get_command(app).commands["grow"].params}  # type: ignore[attr-defined]
    assert (options["epochs"], options["learning_rate"]) == (EPOCHS, LEARNING_RATE)


def test_ctrl_c_ends_with_a_word(tmp_path: Path) -> None:
    started = tmp_path / "out"
    with started.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "neighbours", *[str(CRYSTALS)] * 2000, "--json"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            # tests that run in the background of a shell inherit that interrupts are ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        while started.stat().st_size == 0 and process.poll() is None:
            time.sleep(0.02)
        # Python drops an interrupt that falls into a destructor; a user then presses the keys again.
        # So does this test, soon, lest the work ends by itself before the second time.
        for _ in range(20):
            process.send_signal(signal.SIGINT)
            try:
                message = process.communicate(timeout=3)[1]
                break
            except subprocess.TimeoutExpired:
                continue
    assert process.returncode == 130
    assert message.count("interrupted") == 1
    assert "the results printed so far are complete" in message


@pytest.mark.parametrize("verb", verbs(), ids=" ".join)
def test_every_verb_prints_json(verb: tuple[str, ...]) -> None:
    command = get_command(app)
    for word in verb:
        command = command.commands[word]  # type: ignore[attr-defined]
    assert any("--json" in option.opts for option in command.params)


def run(*words: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, env={**os.environ, **(env or {})}
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("rank", CRYSTALS, "--out", "/dev/null/order.csv"), "--out /dev/null/order.csv cannot be written"),
        (("rank", CRYSTALS, "--keep-dir", "/dev/null/kept"), "--keep-dir /dev/null/kept cannot be written"),
        (("dataset", "build", CRYSTALS, "--out", "/dev/null/data"), "--out /dev/null/data cannot be"),
    ],
    ids=["rank --out", "rank --keep-dir", "build"],
)
def test_a_place_that_cannot_be_written_is_one_line(words: tuple[str | Path, ...], told: str) -> None:
    result = run(*words)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_under_standard_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run([*COMMAND, "cite", "--json"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("error: No space left on device")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("database or disk is full"), OSError(28, "No space")]
)
def test_errors_of_the_system_are_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise error

    monkeypatch.setattr(main, "app", full)
    with pytest.raises(SystemExit) as end:
        main.run()
    assert end.value.code == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "TMPDIR" in message


def test_faults_of_the_program_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(main, "app", wrong)
    with pytest.raises(ZeroDivisionError):
        main.run()
