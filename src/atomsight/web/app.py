"""The app: what it holds, how errors are told, the page's files; the API comes from `api`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from atomsight.core.errors import AtomsightError, InputError
from atomsight.core.version import __version__
from atomsight.parallel.pool import Limits
from atomsight.report.components import asset
from atomsight.web.checking import Knowledge
from atomsight.web.explore import Explorer
from atomsight.web.guard import Guard
from atomsight.web.jobs import BusyError, Jobs
from atomsight.web.reading import LIMITS
from atomsight.web.uploads import MAX_UPLOAD, TooLargeError, Uploads

STATIC = Path(__file__).parent / "static"

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_SHARED = ("page.css", "page.js", "table.js", "mistakes.js", "confusion.js")

DESCRIPTION = """The same results as the command line gives, for the page and for other programs on this
machine. Files are uploaded, a job is started on them, watched, and asked for what it found. Everything stays
here; only a check of a COD number asks the COD's server."""


@dataclass
class Held:
    """What the routes share."""

    uploads: Uploads
    jobs: Jobs
    knowledge: Knowledge
    explorer: Explorer


def create_app(
    *,
    dataset: Path | None = None,
    max_upload: int = MAX_UPLOAD,
    names: frozenset[str] = frozenset(),
    threads: int = 0,
    limits: Limits = LIMITS,
) -> FastAPI:
    """The app, ready to be run by any ASGI server.

    Args:
        dataset: compared with: precedents, distributions; None takes the tables that ship.
        max_upload: bytes that all uploads together may hold.
        names: host names by which the server may be called, beside ``localhost`` and addresses.
        threads: of the networks; 0 takes all cores.
        limits: time and memory for reading one file; a file that exceeds them is skipped.
    """
    from atomsight.web.api import router
    from atomsight.web.api_explore import router as explore

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        knowledge = Knowledge(dataset, threads, limits)
        with Uploads(max_upload) as uploads, Jobs() as jobs:
            app.state.held = Held(uploads, jobs, knowledge, Explorer(knowledge))
            yield

    app = FastAPI(
        title="atomsight",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=life,
    )
    app.add_middleware(Guard, names=names, most_bytes=max_upload + (1 << 20))
    app.include_router(router)
    app.include_router(explore)
    _pages(app)
    _errors(app)
    return app


def _pages(app: FastAPI) -> None:
    """The page's files, each by its name: no path is ever made of what a request says."""
    files = {f"/static/{path.relative_to(STATIC).as_posix()}": path for path in STATIC.rglob("*.*")}
    shared = {f"/shared/{name}": asset(name) for name in _SHARED}

    @app.get("/", include_in_schema=False)
    def index() -> Response:
        return Response((STATIC / "index.html").read_bytes(), media_type="text/html")

    @app.get("/{path:path}", include_in_schema=False)
    def static(path: str) -> Response:
        name = f"/{path}"
        if name in shared:
            return Response(shared[name], media_type=_TYPES[Path(name).suffix])
        if name in files:
            kind = _TYPES.get(files[name].suffix, "text/plain")
            return Response(files[name].read_bytes(), media_type=kind)
        return PlainTextResponse("there is nothing here\n", 404)


def _errors(app: FastAPI) -> None:
    """Errors that a user can mend, as answers; nothing of the server's folders is told."""

    def answered(request: Request, error: Any) -> JSONResponse:
        status = {InputError: 422, TooLargeError: 413, BusyError: 503}.get(type(error), 500)
        return JSONResponse({"detail": str(error)}, status)

    def misshapen(request: Request, error: Any) -> JSONResponse:
        told = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return JSONResponse({"detail": "; ".join(told)}, 422)

    app.add_exception_handler(AtomsightError, answered)
    app.add_exception_handler(RequestValidationError, misshapen)
