"""Asking servers politely: one request at a time, a pause between two, and patience when they are busy."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from atomsight.core.errors import UnreachableError
from atomsight.core.optional import optional
from atomsight.core.version import __version__
from atomsight.io.policy import SkipError

AGENT = f"atomsight/{__version__} (crystal structures for research)"
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed later."""


@dataclass
class Web:
    """A client for one server at a time.

    Attributes:
        pause: seconds between the end of one request and the start of the next.
        tries: how often a request is made before it counts as failed.
        first_wait: seconds before the second try; doubled for each one after it, up to `longest_wait`. A
            server's ``Retry-After`` comes before it.
        longest_wait: seconds; a server that wants more is left alone.
        timeout: seconds without a byte after which a connection is given up.
        deadline: seconds for one whole answer, against servers that send a byte now and then.
        sleep, clock: replaced in tests.
    """

    pause: float = 0.5
    tries: int = 5
    first_wait: float = 2.0
    longest_wait: float = 120.0
    timeout: float = 30.0
    deadline: float = 300.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _pools: dict[str, Any] = field(default_factory=dict, repr=False)
    _last: float = field(default=-1e9, repr=False)

    def get(self, url: str, max_bytes: int) -> bytes:
        """The whole body of an answer with status 200.

        Raises:
            SkipError: the server says that there is no such thing (``not_found``), or sends more than
                `max_bytes` (``too_large``).
            UnreachableError: no whole answer after all tries, or one that no further try can mend.
            MissingExtraError: urllib3 is not installed.
        """
        errors = optional("urllib3.exceptions", "online", f"asking {urlsplit(url).hostname}")
        problem, wait = "", 0.0
        for attempt in range(self.tries):
            self._wait(wait)
            wait = min(self.first_wait * 2**attempt, self.longest_wait)
            try:
                status, asked, body = self._once(url, max_bytes)
            except errors.HTTPError as error:
                problem = _words(error)
                # Nobody listens there, or the name is unknown: no use in asking for long.
                if attempt and isinstance(getattr(error, "reason", None), errors.NewConnectionError):
                    break
                continue
            finally:
                self._last = self.clock()
            if status == 200:
                return body
            if status in (404, 410):
                raise SkipError("not_found", f"the server has no such entry (status {status}): {url}")
            problem = f"status {status}{_detail(body)}"
            if status not in BUSY:
                break
            if asked is not None and asked > self.longest_wait:
                problem += f", to be asked again in {asked:.0f} s"
                break
            wait = wait if asked is None else asked
        raise UnreachableError(f"{url} cannot be had: {problem}")

    def _wait(self, least: float) -> None:
        seconds = max(least, self._last + self.pause - self.clock())
        if seconds > 0:
            self.sleep(seconds)

    def _once(self, url: str, max_bytes: int) -> tuple[int, float | None, bytes]:
        """Status, seconds of ``Retry-After``, and body of one request."""
        urllib3 = optional("urllib3", "online", f"asking {urlsplit(url).hostname}")
        answer = self._pool(urllib3, url).request(
            "GET",
            url,
            headers={"User-Agent": AGENT, "Accept-Encoding": "gzip"},
            timeout=urllib3.Timeout(connect=self.timeout, read=self.timeout),
            retries=urllib3.Retry(
                None, connect=0, read=0, redirect=5, status=0, other=0, raise_on_status=False
            ),
            preload_content=False,
        )
        try:
            if answer.status != 200:
                said = answer.read(4096, decode_content=True)
                answer.close()
                return answer.status, _seconds(answer.headers.get("Retry-After")), said
            pieces, size, end = [], 0, self.clock() + self.deadline
            for piece in answer.stream(1 << 16, decode_content=True):
                size += len(piece)
                if size > max_bytes:
                    answer.close()
                    raise SkipError("too_large", f"larger than the limit of {max_bytes} bytes: {url}")
                if self.clock() > end:
                    answer.close()
                    raise urllib3.exceptions.ProtocolError(f"not done after {self.deadline:g} s")
                pieces.append(piece)
            return answer.status, None, b"".join(pieces)
        finally:
            answer.release_conn()

    def _pool(self, urllib3: Any, url: str) -> Any:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if proxy and proxy_bypass(parts.netloc):
            proxy = None
        key = proxy or ""
        if key not in self._pools:
            self._pools[key] = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
        return self._pools[key]


def _detail(body: bytes) -> str:
    """What a server says in JSON about an error, in the words of JSON:API."""
    try:
        first = json.loads(body)["errors"][0]
        return f", {first.get('detail') or first['title']}"[:300]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""


def _seconds(text: str | None) -> float | None:
    """``Retry-After``: seconds, or a date."""
    if text is None:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None


def _words(error: Exception) -> str:
    """An error of urllib3 without the addresses of its objects."""
    inner: Any = getattr(error, "reason", None) or error
    return f"{type(inner).__name__}: {str(inner).rpartition('>: ')[2] or type(inner).__name__}"


def cache_folder() -> str:
    """Where fetched files are kept: ``ATOMSIGHT_CACHE``, else the user's cache folder of this system."""
    named = os.environ.get("ATOMSIGHT_CACHE")
    if named:
        return named
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    elif os.uname().sysname == "Darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "atomsight")
