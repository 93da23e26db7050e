"""Routes: uploads, jobs, what a check found, what a ranking found."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, HTTPException, Query, Request, UploadFile
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.background import BackgroundTask

from atomsight.check.check import Checked
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError
from atomsight.core.version import __version__
from atomsight.io import DEFAULT
from atomsight.io.cod import members_of
from atomsight.io.web import Web
from atomsight.rank.write import write_ranking
from atomsight.web import checking, ranking, shapes
from atomsight.web.jobs import Job, Kind
from atomsight.web.uploads import Upload, examples, landscapes

router = APIRouter(prefix="/api", responses=shapes.PROBLEMS)

TICK = 0.15
"""Seconds between two looks at a job that is watched."""

MOST_TRIED = 8
"""Trials of elements that are kept for each check."""

_CIF = "chemical/x-cif"
Changes = Annotated[
    list[str],
    Query(
        description="site and element, such as 3:N; may be repeated", max_length=1000, default_factory=list
    ),
]


@router.get("/about", response_model=shapes.About, tags=["server"])
def about(request: Request) -> dict[str, Any]:
    """What this server is and can do."""
    held = request.app.state.held
    return {
        "version": __version__,
        "model": held.knowledge.model.name,
        "elements": [SYMBOLS[z] for z in held.knowledge.model.elements],
        "examples": examples(),
        "landscapes": landscapes(),
        "dataset": held.knowledge.dataset_path is not None,
        "max_upload": held.uploads.most_bytes,
    }


@router.post("/uploads", response_model=shapes.UploadAnswer, status_code=201, tags=["uploads"])
def upload(
    request: Request,
    files: Annotated[list[UploadFile], File(description="CIFs, other structure files, archives")],
    to: Annotated[str | None, Query(description="an upload to add to")] = None,
) -> dict[str, Any]:
    """Send files. They lie in a temporary folder until the upload is deleted or the server ends."""
    held = request.app.state.held
    target = held.uploads.start() if to is None else _upload(request, to)
    if not target.temporary:
        raise InputError("nothing can be added to an example")
    try:
        for file in files:
            held.uploads.add(target, file.filename or "structure.cif", file.file)
    except Exception:
        if to is None:
            held.uploads.drop(target)
        raise
    if not target.names and target.skipped:
        if to is None:
            held.uploads.drop(target)
        raise InputError(": ".join(target.skipped[0]))
    return {
        "upload": target.identifier,
        "files": len(target.names),
        "bytes": target.size,
        "skipped": [{"source": source, "skipped": reason} for source, reason in target.skipped],
    }


@router.delete("/uploads/{identifier}", status_code=204, tags=["uploads"])
def delete_upload(request: Request, identifier: str) -> Response:
    """Remove an upload from the server."""
    request.app.state.held.uploads.drop(_upload(request, identifier))
    return Response(status_code=204)


@router.post("/checks", response_model=shapes.JobStatus, status_code=202, tags=["check"])
def start_check(request: Request, wanted: shapes.CheckRequest) -> dict[str, Any]:
    """Begin to check the crystals of an upload, of an example, a COD entry, or a candidate of a ranking."""
    held = request.app.state.held
    if wanted.ranking is not None and wanted.source is not None:
        target = _job(request, wanted.ranking, "rank").upload
        work = partial(checking.check_job, knowledge=held.knowledge, only=wanted.source)
    elif wanted.cod is not None and wanted.upload is None and wanted.example is None:
        target = held.uploads.start()
        work = partial(_check_cod, number=wanted.cod, held=held)
    else:
        target = _wanted(request, wanted.upload, wanted.example)
        work = partial(checking.check_job, knowledge=held.knowledge)
    status: dict[str, Any] = held.jobs.start(Job("check", target), work).status()
    return status


def _check_cod(job: Job, number: str, held: Any) -> None:
    def wait(seconds: float) -> None:
        job.stop.wait(seconds)
        job.advance()

    # somebody waits at the page: fewer tries than a long download is worth
    web = Web(tries=3, timeout=10.0, deadline=60.0, sleep=wait)
    for member in members_of(number, job.skip, DEFAULT, web):
        held.uploads.add(job.upload, f"{member.name}.cif", io.BytesIO(member.data))
    checking.check_job(job, held.knowledge)


@router.post("/rankings", response_model=shapes.JobStatus, status_code=202, tags=["rank"])
def start_ranking(request: Request, wanted: shapes.RankRequest) -> dict[str, Any]:
    """Begin to rank the candidates of an upload or of an example."""
    held = request.app.state.held
    target = _wanted(request, wanted.upload, wanted.example)
    work = partial(ranking.rank_job, risk=wanted.risk, relaxed=wanted.relaxed, threads=held.knowledge.threads)
    status: dict[str, Any] = held.jobs.start(Job("rank", target), work).status()
    return status


@router.get("/jobs/{identifier}", response_model=shapes.JobStatus, tags=["jobs"])
def job_status(request: Request, identifier: str) -> dict[str, Any]:
    """Where a job stands."""
    return _job(request, identifier).status()


@router.get(
    "/jobs/{identifier}/events",
    tags=["jobs"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "a JobStatus at each change"}},
)
async def job_events(request: Request, identifier: str) -> StreamingResponse:
    """Watch a job: server-sent events, each a JobStatus; the stream ends with the job."""
    return StreamingResponse(_events(_job(request, identifier)), media_type="text/event-stream")


async def _events(job: Job) -> AsyncIterator[str]:
    last = None
    while True:
        status = job.status()
        if status != last:
            yield f"data: {json.dumps(status)}\n\n"
            last = status
        if status["state"] in ("done", "failed", "cancelled"):
            return
        await asyncio.sleep(TICK)


@router.post("/jobs/{identifier}/cancel", response_model=shapes.JobStatus, tags=["jobs"])
def cancel(request: Request, identifier: str) -> dict[str, Any]:
    """End a job; what it has found stays."""
    job = _job(request, identifier)
    request.app.state.held.jobs.cancel(job)
    return job.status()


@router.delete("/jobs/{identifier}", status_code=204, tags=["jobs"])
def forget(request: Request, identifier: str) -> Response:
    """End a job, let go of what it found, and remove its upload if no other job uses it."""
    held, job = request.app.state.held, _job(request, identifier)
    held.jobs.forget(job)
    if not held.jobs.uses(job.upload):
        held.uploads.drop(job.upload)
    return Response(status_code=204)


@router.get("/checks/{identifier}", response_model=shapes.CrystalList, tags=["check"])
def checked(
    request: Request,
    identifier: str,
    first: Annotated[int, Query(ge=0, le=1 << 53, description="index to begin with")] = 0,
) -> dict[str, Any]:
    """The crystals of a check, in the order of the files, as far as it has come."""
    job = _job(request, identifier, "check")
    found = list(job.result or ())
    crystals = [checking.summary(one, index, job) for index, one in enumerate(found) if index >= first]
    return {"crystals": crystals, "skipped": _skips(job)}


@router.get("/checks/{identifier}/{index}", response_model=shapes.OpenCrystal, tags=["check"])
def crystal(request: Request, identifier: str, index: int) -> dict[str, Any]:
    """One checked crystal, with what is needed to draw it."""
    job, found = _crystal(request, identifier, index)
    return checking.opened(found, job)


@router.get("/checks/{identifier}/{index}/sites/{site}", response_model=shapes.OpenSite, tags=["check"])
def site(
    request: Request,
    identifier: str,
    index: int,
    site: int,
    beside: Annotated[str | None, Query(max_length=3, description="element to compare with")] = None,
) -> dict[str, Any]:
    """One site: its distances beside those of its element and of another."""
    _, found = _crystal(request, identifier, index)
    return checking.open_site(found, site, request.app.state.held.knowledge, beside)


@router.post(
    "/checks/{identifier}/{index}/try", response_model=shapes.JobStatus, status_code=202, tags=["check"]
)
def try_elements(request: Request, identifier: str, index: int, wanted: shapes.Changes) -> dict[str, Any]:
    """Begin to check the crystal with other elements on some sites. What was tried on the same check before
    is ended, and forgotten but for the last few."""
    held = request.app.state.held
    job, found = _crystal(request, identifier, index)
    crystal = checking.changed(found, wanted.changes, held.knowledge)
    before = held.jobs.children(job)
    for one in before:
        held.jobs.cancel(one)
    for one in before[: 1 - MOST_TRIED]:
        held.jobs.forget(one)
    work = partial(checking.try_job, found=found, crystal=crystal, knowledge=held.knowledge)
    status: dict[str, Any] = held.jobs.start(Job("try", job.upload, parent=job), work).status()
    return status


@router.get("/tries/{identifier}", response_model=shapes.TriedCrystal, tags=["check"])
def tried(request: Request, identifier: str) -> dict[str, Any]:
    """The crystal as it was checked with other elements, once the job is done."""
    job = _job(request, identifier, "try")
    if job.state != "done":
        raise HTTPException(409, f"the job is {job.state}; this is known when it is done")
    found: dict[str, Any] = job.result
    return found


@router.get(
    "/checks/{identifier}/{index}/cif",
    tags=["check"],
    response_class=Response,
    responses={200: {"content": {_CIF: {}}, "description": "the file"}},
)
def cif(request: Request, identifier: str, index: int, change: Changes) -> Response:
    """A CIF of the crystal with other elements on some sites."""
    from atomsight.web.corrected import corrected_cif

    job, found = _crystal(request, identifier, index)
    source = found.crystal.source
    path = max((p for p in job.upload.paths if source.startswith(str(p))), key=lambda p: len(str(p)))
    text = corrected_cif(found.crystal, _changes(change), path)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in found.crystal.name)
    return _download(text.encode(), _CIF, f"{name}-{'corrected' if change else 'copy'}.cif")


@router.get("/rankings/{identifier}", response_model=shapes.RankingAnswer, tags=["rank"])
def ranked(
    request: Request,
    identifier: str,
    limit: Annotated[int, Query(ge=0, le=ranking.MOST_CANDIDATES)] = ranking.MOST_CANDIDATES,
) -> dict[str, Any]:
    """The candidates of a ranking in order, as far as it has come."""
    job = _job(request, identifier, "rank")
    rows = ranking.rows(job)
    return {"total": len(rows), "candidates": rows[:limit], "skipped": _skips(job)}


@router.get(
    "/rankings/{identifier}/table.{suffix}",
    tags=["rank"],
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "the file"}},
)
def table(request: Request, identifier: str, suffix: Literal["csv", "json", "jsonl", "parquet"]) -> Response:
    """The candidates in order, as ``atomsight rank --out`` writes them."""
    job = _job(request, identifier, "rank")
    with tempfile.TemporaryDirectory(prefix="atomsight-table-") as folder:
        path = Path(folder) / f"ranking.{suffix}"
        write_ranking(ranking.shown(job), path)
        return _download(path.read_bytes(), "application/octet-stream", path.name)


@router.get(
    "/rankings/{identifier}/survivors.zip",
    tags=["rank"],
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}, "description": "the files"}},
)
def survivors(request: Request, identifier: str) -> Response:
    """The files of the candidates to keep."""
    job = _job(request, identifier, "rank")
    with tempfile.NamedTemporaryFile(prefix="atomsight-survivors-", suffix=".zip", delete=False) as file:
        path = Path(file.name)
    try:
        ranking.write_survivors(job, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    gone = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, filename="survivors.zip", media_type="application/zip", background=gone)


def _download(data: bytes, kind: str, name: str) -> Response:
    return Response(data, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


def _changes(given: list[str]) -> dict[int, str]:
    changes = {}
    for text in given:
        site, colon, symbol = text.partition(":")
        if not colon or not (site.isascii() and site.isdigit()) or len(site) > 9:
            raise InputError(f"a change is written as SITE:ELEMENT, such as 3:N, not {text!r}")
        changes[int(site)] = symbol
    return changes


def _upload(request: Request, identifier: str) -> Upload:
    try:
        found: Upload = request.app.state.held.uploads.get(identifier)
    except KeyError:
        raise HTTPException(404, "there is no such upload; it may have been closed") from None
    return found


def _wanted(request: Request, identifier: str | None, example: str | None) -> Upload:
    if (identifier is None) == (example is None):
        raise InputError("name one: an upload or an example")
    if example is not None:
        found: Upload = request.app.state.held.uploads.example(example)
        return found
    return _upload(request, identifier or "")


def _job(request: Request, identifier: str, kind: Kind | None = None) -> Job:
    try:
        job: Job = request.app.state.held.jobs.get(identifier, kind)
    except KeyError:
        raise HTTPException(404, "there is no such job; it may have been closed") from None
    return job


def _crystal(request: Request, identifier: str, index: int) -> tuple[Job, Checked]:
    job = _job(request, identifier, "check")
    found = job.result or []
    if not 0 <= index < len(found):
        raise HTTPException(404, f"there is no crystal {index}; the check has found {len(found)} so far")
    return job, found[index]


def _skips(job: Job) -> list[dict[str, str]]:
    return [{"source": source, "skipped": reason} for source, reason in job.skipped]
