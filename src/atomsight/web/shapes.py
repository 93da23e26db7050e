"""Requests and answers of the API, the source of its OpenAPI description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from atomsight.check.check import CheckedSite


class About(BaseModel):
    """Description of the server."""

    version: str
    model: str
    elements: list[str] = Field(description="elements that the model knows")
    examples: list[str]
    landscapes: list[str]
    dataset: bool = Field(description="whether the server has a dataset to compare with")
    max_upload: int = Field(description="largest size of all uploads together in bytes")


class Skipped(BaseModel):
    """A skipped crystal or file and the reason."""

    source: str
    skipped: str


class UploadAnswer(BaseModel):
    """A new upload."""

    upload: str
    files: int
    bytes: int
    skipped: list[Skipped]


class FilesRequest(BaseModel):
    """Files to work on: an upload or an example."""

    upload: str | None = None
    example: str | None = None


class CheckRequest(FilesRequest):
    """Crystals to check: an upload, an example, a COD entry, or a candidate of a ranking."""

    cod: str | None = Field(
        None, pattern="^[1-9][0-9]{6}$", description="COD number; the only request that uses the network"
    )
    ranking: str | None = Field(None, description="job that ranked the candidate")
    source: str | None = Field(None, description="source of the candidate in the ranking")


class RankRequest(FilesRequest):
    """Candidates to rank, and settings."""

    risk: float = Field(
        0.005, gt=0, le=0.5, description="largest probability that a real structure is called unlikely"
    )
    relaxed: bool = Field(False, description="inorganic candidates are relaxed structures")


class JobStatus(BaseModel):
    """Status of a job."""

    job: str
    kind: Literal["check", "rank", "try"]
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    handled: int
    marked: int = Field(description="crystals with a flagged site; candidates to keep")
    part: float = Field(description="completed share of the current crystal, 0 to 1")
    files: int | None = Field(description="number of files of the upload; null if not counted")
    read: int = Field(description="number of files that were started")
    skipped: int
    message: str


class CrystalSummary(BaseModel):
    """A checked crystal in the list."""

    index: int
    crystal: str
    source: str
    formula: str
    score: float
    flagged: int
    signs: int
    worst: str


class CrystalList(BaseModel):
    """Crystals checked so far."""

    crystals: list[CrystalSummary]
    skipped: list[Skipped]


class Sign(BaseModel):
    """A finding that concerns the crystal as a whole."""

    kind: str
    text: str
    sites: list[int]


class CheckedCrystal(BaseModel):
    """A crystal in the output of ``atomsight check --json``."""

    crystal: str
    source: str
    formula: str
    score: float
    likelihood: float
    sites: list[CheckedSite]
    signs: list[Sign]


class Scene(BaseModel):
    """Atoms and bonds to draw."""

    cell: list[list[float]]
    complete: bool
    elements: list[str]
    sites: list[int]
    unique: list[bool]
    inside: list[list[float]]
    whole: list[list[float]]
    bonds: list[list[float]] = Field(description="first atom, second atom, length, Å")


class OpenCrystal(CheckedCrystal):
    """A checked crystal with the data to draw it."""

    space_group: str | None
    atoms: int
    volume: float
    flags: list[str]
    multiplicities: list[int]
    near_distances: list[list[float]] = Field(
        description="distances to the nearest neighbours of each site, Å"
    )
    near_sites: list[list[int]] = Field(description="site indices of these neighbours")
    scene: Scene


class Precedent(BaseModel):
    """A site of another crystal with similar distances."""

    crystal: str
    label: str
    element: str
    apart: float = Field(description="mean difference of the first distances, Å")


class OpenSite(BaseModel):
    """A site, compared with the typical distances of its element and of another element."""

    site: int
    label: str
    element: str
    beside: str
    distances: list[float]
    elements: list[str]
    labels: list[str]
    neighbours: list[int]
    blind: dict[str, float]
    given: dict[str, float]
    profiles: dict[str, list[list[float]]] = Field(
        description="for each n the quantiles 1, 5, 25, 50, 75, 95, 99 % of the distance, Å"
    )
    precedents: list[Precedent] = Field(description="most similar sites, most similar first")
    precedents_of: str = Field(description="source of the precedents")


class Changes(BaseModel):
    """Other elements on some sites."""

    changes: dict[int, str] = Field(description="element symbol by index of the site", max_length=10_000)


class TriedCrystal(CheckedCrystal):
    """A crystal checked with other elements on some sites."""

    gain: float = Field(description="change of the sum of log-likelihoods over the sites")
    score_before: float
    likelihood_before: float


class RankedCandidate(BaseModel):
    """A candidate in the output of ``atomsight rank --explain --json``, and its density in g/cm³."""

    rank: int
    crystal: str
    source: str
    formula: str
    kind: str
    score: float
    verdict: Literal["keep", "unlikely"]
    density: float
    evidence: list[str]


class RankingAnswer(BaseModel):
    """Candidates scored so far, in the order of the ranking."""

    total: int
    candidates: list[RankedCandidate]
    skipped: list[Skipped]


class Histogram(BaseModel):
    """Histogram of distances of a pair of elements; each site of the first element counts once."""

    centre: str
    neighbour: str
    n: int | None = Field(None, description="neighbour number")
    type: str | None = Field(None, description="bond type")
    sites: int
    first: int = Field(description="index of the first bin of counts")
    counts: list[int]


class Distances(BaseModel):
    """Histograms of the distances from one element."""

    low: float
    step: float
    ranks: int
    source: str
    bond_crystals: int = Field(description="number of crystals with bond types")
    centres: list[str]
    histograms: list[Histogram]
    bonds: list[Histogram]


class Confusion(BaseModel):
    """The bundled model's confusion matrix."""

    split: str
    crystals: int
    sites: int
    accuracy: float
    macro_recall: float
    top3_accuracy: float
    elements: list[str]
    sites_of: list[int]
    cells: list[list[int]] = Field(description="row (true), column (predicted), sites")


class ConfusionCell(BaseModel):
    """Sites of one cell of the confusion matrix, the most confident first."""

    true: str
    predicted: str
    examples: list[dict[str, Any]]
    profiles: dict[str, list[list[float]]]


class Problem(BaseModel):
    """Description of an error."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (400, 403, 404, 409, 413, 421, 422, 500, 503)
}
"""Error answers of all routes."""
