"""Routes of the API: uploads, jobs, results of checks and rankings."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, File, HTTPException, Query, UploadFile
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.background import BackgroundTask

from atomsight.check.check import Checked
from atomsight.core.elements import SYMBOLS
from atomsight.core.errors import InputError
from atomsight.core.version import __version__
from atomsight.io import DEFAULT
from atomsight.io.cod import members_of
from atomsight.io.http import HttpClient
from atomsight.parallel import run_isolated
from atomsight.rank.write import write_ranking
from atomsight.web import checking, ranking, shapes
from atomsight.web.jobs import Job, Task
from atomsight.web.state import State, get_state
from atomsight.web.uploads import Upload, candidate_examples, crystal_examples

router = APIRouter(prefix="/api", responses=shapes.PROBLEMS)

TICK = 0.15
"""Seconds between two status events of a job."""

MOST_TRIED = 8
"""Trials of other elements that are kept for each check."""

_CIF, _BYTES, _EVENTS = "chemical/x-cif", "application/octet-stream", "text/event-stream"
TheState = Annotated[State, Depends(get_state)]
Changes = Annotated[
    list[str],
    Query(
        description="site and element, such as 3:N; may be repeated", max_length=1000, default_factory=list
    ),
]


def find_upload(state: TheState, identifier: str) -> Upload:
    """Return the upload of a request."""
    try:
        return state.uploads.get(identifier)
    except KeyError:
        raise HTTPException(404, "there is no such upload; it may have been closed") from None


def _contents(media_type: str, description: str = "the file") -> dict[str, Any]:
    """Describe a route whose answer is no JSON."""
    responses = {200: {"content": {media_type: {}}, "description": description}}
    return {"response_class": Response, "responses": responses}


def job_finder(task: Task | None = None) -> Callable[..., Job]:
    """Create a dependency that returns the job of a request, which must have this task."""

    def find(state: TheState, identifier: str) -> Job:
        try:
            return state.jobs.get(identifier, task)
        except KeyError:
            raise HTTPException(404, "there is no such job; it may have been closed") from None

    return find


find_ranking = job_finder("rank")
AnyJob = Annotated[Job, Depends(job_finder())]
CheckJob = Annotated[Job, Depends(job_finder("check"))]
RankJob = Annotated[Job, Depends(find_ranking)]
TryJob = Annotated[Job, Depends(job_finder("try"))]


def find_crystal(job: CheckJob, index: int) -> Checked:
    """Return the checked crystal of a request."""
    found: list[Checked] = job.result or []
    if not 0 <= index < len(found):
        raise HTTPException(404, f"there is no crystal {index}; the check has found {len(found)} so far")
    return found[index]


TheCrystal = Annotated[Checked, Depends(find_crystal)]


def _upload_of(state: State, wanted: shapes.FilesRequest) -> Upload:
    if (wanted.upload is None) == (wanted.example is None):
        raise InputError("name one: an upload or an example")
    if wanted.example is not None:
        return state.uploads.example(wanted.example)
    return find_upload(state, str(wanted.upload))


@router.get("/about", response_model=shapes.About, tags=["server"])
def about(state: TheState) -> dict[str, Any]:
    """Describe the server: version, model, examples and limits."""
    model = state.resources.model
    return {
        "version": __version__,
        "model": model.name,
        "elements": [SYMBOLS[z] for z in model.elements],
        "examples": crystal_examples(),
        "landscapes": candidate_examples(),
        "dataset": state.resources.dataset_path is not None,
        "max_upload": state.uploads.most_bytes,
    }


@router.post("/uploads", response_model=shapes.UploadAnswer, status_code=201, tags=["uploads"])
def upload(
    state: TheState,
    files: Annotated[list[UploadFile], File(description="structure files and archives")],
    to: Annotated[str | None, Query(description="upload to add the files to")] = None,
) -> dict[str, Any]:
    """Upload files. They are stored in a temporary folder until the upload is deleted or the server stops."""
    target = state.uploads.start() if to is None else find_upload(state, to)
    if not target.temporary:
        raise InputError("nothing can be added to an example")
    try:
        for file in files:
            state.uploads.add(target, file.filename or "structure.cif", file.file)
        if not target.names and target.skipped:
            raise InputError(": ".join(target.skipped[0]))
    except Exception:
        if to is None:
            state.uploads.drop(target)
        raise
    sizes = {"files": len(target.names), "bytes": target.size}
    return {"upload": target.identifier, **sizes, "skipped": _skips(target)}


@router.delete("/uploads/{identifier}", status_code=204, tags=["uploads"])
def delete_upload(state: TheState, target: Annotated[Upload, Depends(find_upload)]) -> None:
    """Delete an upload and its files."""
    state.uploads.drop(target)


@router.post("/checks", response_model=shapes.JobStatus, status_code=202, tags=["check"])
def start_check(state: TheState, wanted: shapes.CheckRequest) -> dict[str, Any]:
    """Start a check of an upload, an example, a COD entry, or one candidate of a ranking."""
    if wanted.ranking is not None and wanted.source is not None:
        target = find_ranking(state, wanted.ranking).upload
        work = partial(checking.check_job, resources=state.resources, only=wanted.source)
    elif wanted.cod is not None and wanted.upload is None and wanted.example is None:
        target = state.uploads.start()
        work = partial(_check_cod, number=wanted.cod, state=state)
    else:
        target = _upload_of(state, wanted)
        work = partial(checking.check_job, resources=state.resources)
    return state.jobs.start(Job("check", target), work).status()


def _check_cod(job: Job, number: str, state: State) -> None:
    def wait(seconds: float) -> None:
        job.stop.wait(seconds)
        job.advance()

    # A user waits for the answer, hence fewer tries than for a long download.
    web = HttpClient(tries=3, timeout=10.0, deadline=60.0, sleep=wait)
    for member in members_of(number, job.skip, DEFAULT, web):
        state.uploads.add(job.upload, f"{member.name}.cif", io.BytesIO(member.data))
    checking.check_job(job, state.resources)


@router.post("/rankings", response_model=shapes.JobStatus, status_code=202, tags=["rank"])
def start_ranking(state: TheState, wanted: shapes.RankRequest) -> dict[str, Any]:
    """Start a ranking of the candidates of an upload or an example."""
    settings = wanted.model_dump(include={"risk", "relaxed"})
    resources = state.resources
    work = partial(ranking.rank_job, **settings, threads=resources.threads, limits=resources.limits)
    return state.jobs.start(Job("rank", _upload_of(state, wanted)), work).status()


@router.get("/jobs/{identifier}", response_model=shapes.JobStatus, tags=["jobs"])
def job_status(job: AnyJob) -> dict[str, Any]:
    """Return the status of a job."""
    return job.status()


@router.get(
    "/jobs/{identifier}/events",
    tags=["jobs"],
    **_contents("text/event-stream", "a JobStatus after each change"),
)
async def job_events(job: AnyJob) -> StreamingResponse:
    """Stream the status of a job as server-sent events; the stream ends with the job."""
    return StreamingResponse(_events(job), media_type=_EVENTS)


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
def cancel(state: TheState, job: AnyJob) -> dict[str, Any]:
    """Cancel a job; its results so far are kept."""
    state.jobs.cancel(job)
    return job.status()


@router.delete("/jobs/{identifier}", status_code=204, tags=["jobs"])
def forget(state: TheState, job: AnyJob) -> None:
    """Cancel a job, delete its results, and delete its upload if no other job uses it."""
    state.jobs.forget(job)
    if not state.jobs.uses(job.upload):
        state.uploads.drop(job.upload)


@router.get("/checks/{identifier}", response_model=shapes.CrystalList, tags=["check"])
def crystals(
    job: CheckJob, first: Annotated[int, Query(ge=0, le=1 << 53, description="first index")] = 0
) -> dict[str, Any]:
    """List the crystals checked so far, in the order of the files."""
    found = list(job.result or ())
    summaries = [checking.summary(one, index, job) for index, one in enumerate(found) if index >= first]
    return {"crystals": summaries, "skipped": _skips(job)}


@router.get("/checks/{identifier}/{index}", response_model=shapes.OpenCrystal, tags=["check"])
def crystal(job: CheckJob, found: TheCrystal) -> dict[str, Any]:
    """Return one checked crystal with the data to draw it."""
    return checking.crystal_details(found, job)


@router.get("/checks/{identifier}/{index}/sites/{site}", response_model=shapes.OpenSite, tags=["check"])
def site(
    state: TheState,
    found: TheCrystal,
    site: int,
    beside: Annotated[str | None, Query(max_length=3, description="element to compare with")] = None,
) -> dict[str, Any]:
    """Compare the distances of one site with those typical of its element and of another element."""
    return checking.site_details(found, site, state.resources, beside)


@router.post(
    "/checks/{identifier}/{index}/try", response_model=shapes.JobStatus, status_code=202, tags=["check"]
)
def try_elements(state: TheState, job: CheckJob, found: TheCrystal, wanted: shapes.Changes) -> dict[str, Any]:
    """Start a check of the crystal with other elements on some sites.

    Earlier trials on the same check are cancelled; the last few are kept.
    """
    jobs = state.jobs
    crystal = checking.changed_crystal(found, wanted.changes, state.resources)
    earlier = jobs.children(job)
    for one in earlier:
        jobs.cancel(one)
    for one in earlier[: 1 - MOST_TRIED]:
        jobs.forget(one)
    work = partial(checking.try_job, found=found, crystal=crystal, resources=state.resources)
    return jobs.start(Job("try", job.upload, parent=job), work).status()


@router.get("/tries/{identifier}", response_model=shapes.TriedCrystal, tags=["check"])
def tried(job: TryJob) -> dict[str, Any]:
    """Return the crystal checked with other elements, after the job is done."""
    if job.state != "done":
        raise HTTPException(409, f"the job is {job.state}; the result is available when it is done")
    found: dict[str, Any] = job.result
    return found


@router.get("/checks/{identifier}/{index}/cif", tags=["check"], **_contents(_CIF))
def cif(state: TheState, job: CheckJob, found: TheCrystal, change: Changes) -> Response:
    """Return a CIF of the crystal with other elements on some sites."""
    from atomsight.web.corrected import corrected_cif

    limits = state.resources.limits
    source = found.crystal.source
    path = max((p for p in job.upload.paths if source.startswith(str(p))), key=lambda p: len(str(p)))
    arguments = found.crystal, _changes(change), path
    text: str = run_isolated(corrected_cif, *arguments, seconds=limits.seconds, memory=limits.memory)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in found.crystal.name)
    return _download(text.encode(), _CIF, f"{name}-{'corrected' if change else 'copy'}.cif")


@router.get("/rankings/{identifier}", response_model=shapes.RankingAnswer, tags=["rank"])
def candidates(
    job: RankJob, limit: Annotated[int, Query(ge=0, le=ranking.MOST_CANDIDATES)] = ranking.MOST_CANDIDATES
) -> dict[str, Any]:
    """List the candidates scored so far, in the order of the ranking."""
    rows = ranking.rows(job)
    return {"total": len(rows), "candidates": rows[:limit], "skipped": _skips(job)}


@router.get("/rankings/{identifier}/table.{suffix}", tags=["rank"], **_contents(_BYTES))
def table(job: RankJob, suffix: Literal["csv", "json", "jsonl", "parquet"]) -> Response:
    """Return the ranking as a file, as ``atomsight rank --out`` writes it."""
    with tempfile.TemporaryDirectory(prefix="atomsight-table-") as folder:
        path = Path(folder) / f"ranking.{suffix}"
        write_ranking(ranking.shown(job), path)
        return _download(path.read_bytes(), _BYTES, path.name)


@router.get(
    "/rankings/{identifier}/survivors.zip", tags=["rank"], **_contents("application/zip", "the files")
)
def survivors(job: RankJob) -> Response:
    """Return a zip of the files of the candidates with the verdict ``keep``."""
    with tempfile.NamedTemporaryFile(prefix="atomsight-survivors-", suffix=".zip", delete=False) as file:
        path = Path(file.name)
    try:
        ranking.write_survivors(job, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    remove = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, filename="survivors.zip", media_type="application/zip", background=remove)


def _download(data: bytes, media_type: str, name: str) -> Response:
    return Response(
        data, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def _changes(texts: list[str]) -> dict[int, str]:
    changes = {}
    for text in texts:
        site, colon, symbol = text.partition(":")
        if not colon or not (site.isascii() and site.isdigit()) or len(site) > 9:
            raise InputError(f"a change is written as SITE:ELEMENT, such as 3:N, not {text!r}")
        changes[int(site)] = symbol
    return changes


def _skips(skipper: Job | Upload) -> list[dict[str, str]]:
    return [{"source": source, "skipped": reason} for source, reason in skipper.skipped]
