"""What the API takes and answers; FastAPI makes its OpenAPI description of these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class About(BaseModel):
    """The server."""

    version: str
    model: str
    elements: list[str] = Field(description="that the model knows")
    examples: list[str]
    landscapes: list[str]
    dataset: bool = Field(description="whether a dataset was named to compare with")
    max_upload: int = Field(description="bytes that all uploads together may hold")


class Skipped(BaseModel):
    """A crystal or file that was left out."""

    source: str
    skipped: str


class UploadAnswer(BaseModel):
    """Files on the server."""

    upload: str
    files: int
    bytes: int
    skipped: list[Skipped]


class CheckRequest(BaseModel):
    """Which crystals to check: an upload, an example, a COD entry, or a candidate of a ranking."""

    upload: str | None = None
    example: str | None = None
    cod: str | None = Field(
        None, pattern="^[1-9][0-9]{6}$", description="COD number; the only request that uses a network"
    )
    ranking: str | None = Field(None, description="job that ranked the candidate")
    source: str | None = Field(None, description="of the candidate, as the ranking tells it")


class RankRequest(BaseModel):
    """Which candidates to rank."""

    upload: str | None = None
    example: str | None = None
    risk: float = Field(
        0.005, gt=0, le=0.5, description="most chance that a real structure is called unlikely"
    )
    relaxed: bool = Field(False, description="trust the volume of inorganic candidates")


class JobStatus(BaseModel):
    """Where a job stands."""

    job: str
    kind: Literal["check", "rank", "try"]
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    handled: int
    marked: int = Field(description="crystals with a flagged site; candidates to keep")
    part: float = Field(description="how far a check is with the crystal at hand, 0 to 1")
    files: int | None = Field(description="of the upload, archives opened; null where not counted")
    read: int = Field(description="files that have been begun")
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
    """Checked crystals, as far as the job has come."""

    crystals: list[CrystalSummary]
    skipped: list[Skipped]


class CheckedSite(BaseModel):
    """As ``atomsight check --json`` tells it."""

    site: int
    label: str
    element: str
    probability: float
    suggested: str
    suspicion: float
    flagged: bool
    gain: float | None
    evidence: list[str]


class Sign(BaseModel):
    """What is odd about the crystal as a whole."""

    kind: str
    text: str
    sites: list[int]


class CheckedCrystal(BaseModel):
    """As ``atomsight check --json`` tells it."""

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
    """A checked crystal with what is needed to draw it."""

    space_group: str | None
    atoms: int
    volume: float
    flags: list[str]
    multiplicities: list[int]
    near_distances: list[list[float]] = Field(description="of each site to its nearest neighbours, Å")
    near_sites: list[list[int]] = Field(description="which sites these neighbours are copies of")
    scene: Scene


class Precedent(BaseModel):
    """A site of another crystal that has almost the same distances."""

    crystal: str
    label: str
    element: str
    apart: float = Field(description="mean difference of the first distances, Å")


class OpenSite(BaseModel):
    """One site beside the usual distances of its element and of another."""

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
    precedents: list[Precedent] = Field(description="the sites most like it, the most alike first")
    precedents_of: str = Field(description="what was compared with")


class Changes(BaseModel):
    """Other elements on some sites."""

    changes: dict[int, str] = Field(description="element symbol by index of the site", max_length=10_000)


class TriedCrystal(CheckedCrystal):
    """A crystal checked with other elements on some sites."""

    gain: float = Field(description="what the sum of log-likelihoods over the sites gains")
    score_before: float
    likelihood_before: float


class RankedCandidate(BaseModel):
    """As ``atomsight rank --explain --json`` tells it, and its density in g/cm³."""

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
    """Candidates in order, as far as the job has come."""

    total: int
    candidates: list[RankedCandidate]
    skipped: list[Skipped]


class Histogram(BaseModel):
    """Distances of a pair of elements, each site of the first counted once."""

    centre: str
    neighbour: str
    n: int | None = Field(None, description="which neighbour")
    type: str | None = Field(None, description="type of bond")
    sites: int
    first: int = Field(description="bin that counts begin with")
    counts: list[int]


class Distances(BaseModel):
    """Histograms of one element as centre."""

    low: float
    step: float
    ranks: int
    source: str
    bond_crystals: int = Field(description="crystals whose types of bonds are counted")
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
    """What was wrong."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem} for code in (400, 403, 404, 409, 413, 421, 422, 500, 503)
}
"""What routes may answer beside what they are asked for."""
