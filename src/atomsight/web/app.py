"""The ASGI app: shared state, static files and error answers; the routes of the API are in `api`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from atomsight.core.errors import AtomsightError, InputError
from atomsight.core.version import __version__
from atomsight.parallel.pool import Limits
from atomsight.report.components import asset
from atomsight.web.checking import Resources
from atomsight.web.guard import Guard
from atomsight.web.jobs import BusyError, Jobs
from atomsight.web.reading import LIMITS
from atomsight.web.state import State
from atomsight.web.uploads import MAX_UPLOAD, TooLargeError, Uploads

STATIC = Path(__file__).parent / "static"

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_SHARED = ("page.css", "page.js", "table.js", "mistakes.js", "confusion.js")

DESCRIPTION = """Results of the command line for the web page and for other programs on this machine.
Upload files, start a job, follow its status, and fetch the results. Files stay on this machine; only a check
of a COD number sends a request to the COD server."""


def create_app(
    *,
    dataset: Path | None = None,
    max_upload: int = MAX_UPLOAD,
    names: frozenset[str] = frozenset(),
    threads: int = 0,
    limits: Limits = LIMITS,
) -> FastAPI:
    """Create the app, which any ASGI server can run.

    Args:
        dataset: dataset for similar sites and distributions; None uses the bundled tables.
        max_upload: largest size of all uploads together in bytes.
        names: host names of the server besides ``localhost`` and IP addresses.
        threads: threads of the neural networks; 0 uses all cores.
        limits: time and memory for reading one file; a file that exceeds them is skipped.
    """
    from atomsight.web.api import router
    from atomsight.web.api_explore import router as explore

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        resources = Resources(dataset, threads, limits)
        with Uploads(max_upload) as uploads, Jobs() as jobs:
            app.state.shared = State(uploads, jobs, resources)
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
    """Serve the files of the page by name; no path is built from a request."""
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
            media_type = _TYPES.get(files[name].suffix, "text/plain")
            return Response(files[name].read_bytes(), media_type=media_type)
        return PlainTextResponse("there is nothing here\n", 404)


def _errors(app: FastAPI) -> None:
    """Convert errors to answers without paths of the server."""

    def answer(request: Request, error: Any) -> JSONResponse:
        status = {InputError: 422, TooLargeError: 413, BusyError: 503}.get(type(error), 500)
        return JSONResponse({"detail": str(error)}, status)

    def reject(request: Request, error: Any) -> JSONResponse:
        problems = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return JSONResponse({"detail": "; ".join(problems)}, 422)

    app.add_exception_handler(AtomsightError, answer)
    app.add_exception_handler(RequestValidationError, reject)
