"""Uploaded files that crash, hang or need too much memory are skipped, and the server goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from atomsight.parallel.pool import Limits
from atomsight.web import reading
from atomsight.web.app import create_app
from dangerous import DangerousJob, crash

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

HALITE = (Path(__file__).parents[1] / "data" / "halite.cif").read_bytes()
LIMITS = Limits(seconds=10, memory=2**30)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = create_app(threads=1, limits=LIMITS)
    with (
        pytest.MonkeyPatch.context() as patch,
        TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as made,
    ):
        patch.setattr(reading, "ReadJob", DangerousJob)
        yield made


FILES = {"a.cif": HALITE, "crash.cif": HALITE, "greedy.cif": HALITE, "hang.cif": HALITE, "z.cif": HALITE}
REASONS = {
    "crash.cif": "it ended its worker process",
    "greedy.cif": "reading it takes more memory than there is",
    "hang.cif": "it took longer than 10 s",
}


@pytest.mark.parametrize(("start", "found"), [("checks", "crystals"), ("rankings", "candidates")])
def test_dangerous_files_are_skipped_with_their_reason(
    client: Any, finish: Any, start: str, found: str
) -> None:
    status = finish(f"/api/{start}", FILES)
    assert (status["state"], status["handled"], status["skipped"]) == ("done", 2, 3), status
    answer = client.get(f"/api/{start}/{status['job']}").json()
    assert [one["source"] for one in answer[found]] == ["a.cif", "z.cif"]
    assert {one["source"]: one["skipped"] for one in answer["skipped"]} == REASONS


def test_a_job_is_cancelled_while_a_file_hangs(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.app.state.shared.resources, "limits", Limits(seconds=500))
    sent = client.post("/api/uploads", files={"files": ("hang.cif", HALITE)}).json()["upload"]
    job = client.post("/api/rankings", json={"upload": sent}).json()["job"]
    time.sleep(0.5)
    client.post(f"/api/jobs/{job}/cancel")
    until = time.monotonic() + 5
    while client.get(f"/api/jobs/{job}").json()["state"] != "cancelled":
        assert time.monotonic() < until
        time.sleep(0.05)


def test_only_the_wanted_file_is_read(client: Any, finish: Any) -> None:
    ranked = finish("/api/rankings", {"a.cif": HALITE, "crash.cif": HALITE})["job"]
    status = finish("/api/checks", ranking=ranked, source="a.cif")
    assert (status["state"], status["handled"], status["skipped"]) == ("done", 1, 0)


def test_the_corrected_file_is_written_by_a_process_of_its_own(
    client: Any, finish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finish("/api/checks", {"a.cif": HALITE})["job"]
    assert "Br" in client.get(f"/api/checks/{job}/0/cif?change=1:Br").text
    monkeypatch.setattr("atomsight.web.corrected.corrected_cif", crash)
    answer = client.get(f"/api/checks/{job}/0/cif?change=1:Br")
    assert answer.status_code == 500
    assert "worker process" in answer.json()["detail"]
