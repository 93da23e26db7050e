"""Chromium for tests of pages in a browser."""

from __future__ import annotations

import shutil
import warnings
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
_MISSING = "Chromium is not installed: pages are not tested in a browser"

if BROWSER is None:
    warnings.warn(_MISSING, pytest.PytestWarning, stacklevel=2)

needs_browser = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason=_MISSING)]


def launch(playwright: Any, *arguments: str) -> Any:
    """Start Chromium; the sandbox is off because containers do not allow it."""
    return playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", *arguments])
