"""What all verbs share: help with an example, and a word after Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from atomsight.cli.main import app

COMMAND = [sys.executable, "-m", "atomsight.cli.main"]


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


def test_ctrl_c_ends_with_a_word(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "examples" / "crystals.tar.xz"
    started = tmp_path / "out"
    with started.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "neighbours", *[str(source)] * 2000, "--json"],
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
    assert "interrupted" in message
