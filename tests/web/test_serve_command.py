"""``atomsight serve`` from its start to Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atomsight.cli.main import app
from atomsight.core.errors import InputError
from atomsight.parallel.pool import Limits
from atomsight.web import run
from atomsight.web.addresses import is_loopback
from atomsight.web.run import serve

COMMAND = [sys.executable, "-m", "atomsight.cli.main", "serve"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_the_command_serves_until_ctrl_c(tmp_path: Path) -> None:
    arguments = [*COMMAND, "--port", "0", "--no-browser", "--json", "--threads", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = json.loads(process.stdout.readline())["address"]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}api/about") as answer:
            assert "ibuprofen.cif" in json.load(answer)["examples"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not list(tmp_path.glob("atomsight-*"))


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="--port"):
            serve(port=taken.getsockname()[1], browser=False)


def test_a_wrong_dataset_is_told_at_once(tmp_path: Path) -> None:
    arguments = [*COMMAND, "--no-browser", "--dataset", str(tmp_path)]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode in (1, 2)
    assert str(tmp_path) in result.stderr


def test_loopback() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("example.org")


def test_limits_of_the_command_line_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: dict[str, object] = {}
    monkeypatch.setattr(run, "serve", lambda *arguments, **options: passed.update(options))
    limits = ["--max-seconds", "7", "--max-memory", "1.5", "--max-upload", "3"]
    result = CliRunner().invoke(app, ["serve", "--no-browser", *limits])
    assert result.exit_code == 0, result.output
    assert passed["limits"] == Limits(7.0, 3 * 2**29)
    assert passed["max_upload"] == 3 << 20
