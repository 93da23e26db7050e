"""The state that the routes of one server share."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from atomsight.web.checking import Resources
from atomsight.web.jobs import Jobs
from atomsight.web.uploads import Uploads


@dataclass
class State:
    """Uploads, jobs, models and tables of one server."""

    uploads: Uploads
    jobs: Jobs
    resources: Resources


def get_state(request: Request) -> State:
    """Return the state of the server that answers a request."""
    state: State = request.app.state.shared
    return state
