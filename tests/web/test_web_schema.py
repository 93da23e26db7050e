"""The API keeps to its OpenAPI description, whatever it is asked."""

from __future__ import annotations

from typing import Any

import pytest

schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, Phase, settings  # noqa: E402

from atomsight.web.app import create_app  # noqa: E402

SCHEMA = schemathesis.openapi.from_asgi("/api/openapi.json", create_app(threads=1))


@SCHEMA.parametrize()
@settings(max_examples=12, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case: Any) -> None:
    case.call_and_validate(base_url="http://127.0.0.1:8421")
