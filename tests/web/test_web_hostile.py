"""Who may ask, what they may send, and that nothing of this machine is told."""

from __future__ import annotations

import io
import socket
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from atomsight.core.errors import InputError
from atomsight.web import guard, protocol
from atomsight.web.app import create_app
from atomsight.web.jobs import BusyError, Job, Jobs
from atomsight.web.uploads import TooLargeError, Upload, Uploads, clean

SCRIPT = "</script><script>window.broken=1</script>"


def test_other_hosts_and_origins_are_turned_away(client: Any) -> None:
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/", headers={"host": "127.0.0.1.evil.example:8421"}).status_code == 421
    for host in ("[", "evil.com@localhost", "localhost/x", "localhost:x", "local host", "[::1", ""):
        assert client.get("/", headers={"host": host}).status_code == 421
    for host in ("127.0.0.1:8421", "localhost:8421", "[::1]:8421"):
        assert client.get("/", headers={"host": host}).status_code == 200
    foreign = client.post("/api/checks", json={}, headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403
    for origin in ("null", "http://[", "http://[::1", "", "//"):
        assert client.get("/api/about", headers={"origin": origin}).status_code == 403
    assert client.get("/api/about", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    own = {"origin": "http://127.0.0.1:8421", "sec-fetch-site": "same-origin"}
    assert client.get("/api/about", headers=own).status_code == 200


def test_the_page_may_load_nothing_from_elsewhere(client: Any) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "http://" not in answer.text
    assert "https://" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/static/../app.py", "/static/%2e%2e/app.py", "/shared/page.py", "/static//etc/passwd",
     "/static/", "/static/vendor", "/%00"],
)  # fmt: skip
def test_no_other_file_is_served(client: Any, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("..\\..\\x.cif", "x.cif"),
        ("/abs/a.cif", "abs/a.cif"),
        (".hidden.cif", "hidden.cif"),
        ("cod:2016452", "cod_2016452"),
        ("a\0<b>.cif", "a__b_.cif"),
        ("", "structure.cif"),
        ("...", "structure.cif"),
        ("run1/POSCAR", "run1/POSCAR"),
    ],
)
def test_names_stay_in_their_folder(name: str, kept: str) -> None:
    assert clean(name) == kept
    assert len(clean("x" * 5000 + ".cif")) <= 120


def test_uploads_are_limited_and_removed(tmp_path: Path) -> None:
    with Uploads(1000) as uploads:
        upload = uploads.start()
        uploads.add(upload, "a.cif", io.BytesIO(b"x" * 600))
        with pytest.raises(TooLargeError, match="command line"):
            uploads.add(upload, "b.cif", io.BytesIO(b"x" * 600))
        assert list(upload.names) == ["a.cif"]
        uploads.add(upload, "a.cif", io.BytesIO(b"y"))
        assert len(set(upload.names)) == 2
        uploads.add(upload, "a.db", io.BytesIO(b"y"))
        assert "command line" in upload.skipped[0][1]
        folder = upload.folder
        uploads.drop(upload)
        assert not folder.exists()
        left = uploads.start().folder
    assert not left.exists()


@pytest.mark.parametrize("name", ["é" * 300 + ".cif", "a.cif/b.cif", "A.CIF", "folder", "folder/a.cif/b"])
def test_an_odd_name_does_not_spoil_its_upload(name: str) -> None:
    with Uploads(1000) as uploads:
        upload = uploads.start()
        uploads.add(upload, "folder/a.cif", io.BytesIO(b"1"))
        uploads.add(upload, "a.cif", io.BytesIO(b"2"))
        uploads.add(upload, name, io.BytesIO(b"3"))
        assert [path.read_bytes() for path in upload.paths] == [b"1", b"2", b"3"]


def test_a_file_that_cannot_be_stored_is_named_without_a_path(
    client: Any, finish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Path.open

    def full(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "full.cif":
            raise OSError(28, "No space left on device", str(path))
        return stored(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    good = (Path(__file__).parents[1] / "data" / "halite.cif").read_bytes()
    sent = [("files", ("full.cif", good)), ("files", ("halite.cif", good))]
    answer = client.post("/api/uploads", files=sent)
    reason = "it could not be stored: No space left on device"
    assert answer.status_code == 201
    assert answer.json()["skipped"] == [{"source": "full.cif", "skipped": reason}]
    status = finish("/api/checks", upload=answer.json()["upload"])
    assert (status["handled"], status["skipped"]) == (1, 1)
    assert client.get(f"/api/checks/{status['job']}").json()["skipped"][0]["skipped"] == reason
    alone = client.post("/api/uploads", files=sent[:1])
    assert (alone.status_code, alone.json()["detail"]) == (422, f"full.cif: {reason}")


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /api/about HTTP/1.1\r\nHost: localh", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET"],
)
def test_half_open_requests_are_closed(address: str, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(sent)
        while connection.recv(1 << 16):
            pass


def test_a_body_that_stops_is_given_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.3)
    parts = urlsplit(address)
    head = b"POST /api/checks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(head + b"Content-Length: 100\r\n\r\n{")
        assert b" 408 " in connection.recv(1 << 16).partition(b"\r\n")[0]


def test_too_much_is_refused(client: Any) -> None:
    big = b"x" * (6 << 20)
    assert client.post("/api/uploads", files={"files": ("a.cif", big)}).status_code == 413
    assert client.post("/api/uploads", files={"files": ("a.cif", big[: (9 << 19)])}).status_code == 413

    def pieces() -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.cif"\r\n\r\n'
        for _ in range(100):
            yield big[: 1 << 18]

    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post("/api/uploads", content=pieces(), headers=headers).status_code == 413
    assert client.get("/api/about").status_code == 200


def test_hostile_files_do_no_harm(client: Any, finish: Any) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name in ("../escape.cif", "/tmp/absolute.cif"):
            archive.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("link.cif")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    cell = "".join(f"_cell_length_{x} 6\n" for x in "abc") + "".join(
        f"_cell_angle_{x} 90\n" for x in ("alpha", "beta", "gamma")
    )
    label = f"C1{SCRIPT}"
    cif = (
        f"data_{SCRIPT}\n{cell}loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n"
        f"_atom_site_fract_y\n_atom_site_fract_z\n'{label}' C 0 0 0\nO1 O .2 0 0\n"
    )
    files = {
        "a.tar": held.getvalue(),
        "script.cif": cif.encode(),
        "deep.cif": b"data_a\nloop_\n" * 20000,
        "binary.cif": bytes(range(256)) * 100,
        "broken.zip": b"PK\x03\x04" + b"\xff" * 300,
    }
    status = finish("/api/checks", files)
    assert status["state"] == "done"
    listed = client.get(f"/api/checks/{status['job']}")
    assert tempfile.gettempdir() not in listed.text.replace("/tmp/absolute.cif", "")
    assert status["skipped"] >= 5
    opened = client.get(f"/api/checks/{status['job']}/0")
    assert opened.headers["content-type"] == "application/json"
    assert opened.json()["sites"][0]["label"] == label
    name = client.get(f"/api/checks/{status['job']}/0/cif?change=0:N").headers["content-disposition"]
    assert "<" not in name


def test_unknown_jobs_and_wrong_requests(client: Any) -> None:
    for path in ("/api/jobs/x", "/api/checks/x", "/api/checks/x/0", "/api/rankings/x", "/api/jobs/x/events"):
        assert client.get(path).status_code == 404
    assert client.post("/api/checks", json={}).status_code == 422
    assert client.post("/api/checks", json={"example": "../../../etc/passwd"}).status_code == 422
    assert client.post("/api/checks", json={"upload": "x"}).status_code == 404
    assert client.post("/api/checks", json={"cod": "file:///etc/passwd"}).status_code == 422
    assert client.post("/api/rankings", json={"example": "ibuprofen.cif", "risk": 0}).status_code == 422


def test_jobs_are_watched_cancelled_and_forgotten(client: Any, finish: Any) -> None:
    status = finish("/api/checks", example="ibuprofen.cif")
    events = client.get(f"/api/jobs/{status['job']}/events").text
    assert '"state": "done"' in events
    assert client.post(f"/api/jobs/{status['job']}/cancel").json()["state"] == "done"
    assert client.delete(f"/api/jobs/{status['job']}").status_code == 204
    assert client.get(f"/api/jobs/{status['job']}").status_code == 404


def test_a_running_job_ends_when_asked_and_others_wait(tmp_path: Path) -> None:
    begun = threading.Event()

    def endless(job: Job) -> None:
        begun.set()
        while True:
            job.advance(True)
            time.sleep(0.001)

    def failing(job: Job) -> None:
        raise InputError(f"{tmp_path}/a.cif is odd")

    with Jobs() as jobs:
        running = jobs.start(Job("check", Upload("u", tmp_path)), endless)
        assert begun.wait(5)
        waiting = [jobs.start(Job("check", Upload("u", tmp_path)), failing) for _ in range(50)]
        with pytest.raises(BusyError):
            jobs.start(Job("check", Upload("u", tmp_path)), failing)
        jobs.cancel(waiting[0])
        jobs.cancel(running)
        until = time.monotonic() + 5
        ended = ("done", "failed", "cancelled")
        while any(job.state not in ended for job in (running, *waiting)) and time.monotonic() < until:
            time.sleep(0.01)
        assert running.state == "cancelled"
        assert running.handled > 0
        assert waiting[0].state == "cancelled"
        assert (waiting[1].state, waiting[1].message) == ("failed", "a.cif is odd")


def test_nothing_is_left_when_the_server_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with TestClient(create_app(threads=1), base_url="http://localhost") as client:
        client.post("/api/uploads", files={"files": ("a.cif", b"data_a")})
        assert list(tmp_path.rglob("a.cif"))
    assert not list(tmp_path.iterdir())
