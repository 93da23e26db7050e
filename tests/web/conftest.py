"""A client of the page's API, and a way to wait for jobs."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
warnings.filterwarnings("ignore", message=".*httpx.*", module="fastapi|starlette")

import uvicorn  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402

from atomsight.web.app import create_app  # noqa: E402
from atomsight.web.protocol import TimedProtocol  # noqa: E402

LIMIT = 4 << 20

PATIENCE = 120.0
"""Longest wait for a job in seconds: numerical kernels may have to be compiled first."""


@pytest.fixture(scope="session")
def large_cell() -> bytes:
    """A CIF of 240 disturbed atoms of rock salt, no two alike: seconds of work."""
    generator = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*map(np.arange, (6, 8, 5)), indexing="ij"), axis=-1).reshape(-1, 3)
    edges = 2.82 * np.array([6, 8, 5])
    points = (2.82 * grid + generator.normal(0, 0.25, grid.shape)) / edges
    lines = [
        "data_large",
        *(f"_cell_length_{axis} {edge:.3f}" for axis, edge in zip("abc", edges, strict=False)),
    ]
    lines += [f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma")]
    lines += ["loop_", "_atom_site_label", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{axis}" for axis in "xyz"]
    for n, (place, point) in enumerate(zip(grid.sum(axis=1), points, strict=False)):
        symbol = ("Na", "Cl")[place % 2]
        lines.append(f"{symbol}{n} {symbol} " + " ".join(f"{x:.4f}" for x in point))
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = create_app(max_upload=LIMIT, threads=1)
    with TestClient(app, base_url="http://127.0.0.1:8421", raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a server answers, for browsers and other programs."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    settings = uvicorn.Config(
        create_app(max_upload=LIMIT, threads=1),
        http=TimedProtocol,
        log_level="error",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)


Finish = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def finish(client: TestClient) -> Finish:
    """Start a job on files or on an example, wait for its end, and give its last status."""

    def run(path: str, files: dict[str, bytes] | None = None, **body: Any) -> dict[str, Any]:
        if files is not None:
            sent = [("files", (name, data)) for name, data in files.items()]
            answer = client.post("/api/uploads", files=sent)
            assert answer.status_code == 201, answer.text
            body["upload"] = answer.json()["upload"]
        answer = client.post(path, json=body)
        assert answer.status_code == 202, answer.text
        job = answer.json()["job"]
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            status = client.get(f"/api/jobs/{job}").json()
            if status["state"] in ("done", "failed", "cancelled"):
                return status
            time.sleep(0.02)
        raise AssertionError(status)

    return run
