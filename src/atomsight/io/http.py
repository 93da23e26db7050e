"""HTTP requests to databases: one at a time, with a pause between two, and repeated when a server is busy."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from atomsight.core.errors import InputError, UnreachableError
from atomsight.core.optional import optional
from atomsight.core.version import __version__
from atomsight.io.policy import SkipError

AGENT = f"atomsight/{__version__} (crystal structures for research)"
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed later."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5


@dataclass
class HttpClient:
    """A client for one server at a time.

    Attributes:
        pause: seconds between the end of one request and the start of the next.
        tries: how often a request is made before it counts as failed.
        first_wait: seconds before the second try, doubled for each one after it, up to `longest_wait`. The
            server's ``Retry-After`` replaces it.
        longest_wait: seconds. A server that asks for a longer wait is not asked again.
        timeout: seconds without a byte after which a connection is closed.
        deadline: seconds for one whole answer, which limits servers that send a byte now and then.
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
        """Return the whole body of an answer with status 200.

        A redirect is followed on the same host only.

        Raises:
            SkipError: the server has no such entry (``not_found``), or sends more than `max_bytes`
                (``too_large``).
            UnreachableError: no whole answer after all tries, a redirect to another host, or an error that
                another try cannot change.
            MissingExtraError: urllib3 is not installed.
        """
        errors = optional("urllib3.exceptions", "online", f"asking {urlsplit(url).hostname}")
        problem, wait, attempt, redirects, at = "", 0.0, 0, 0, url
        while attempt < self.tries:
            seconds = max(wait, self._last + self.pause - self.clock())
            if seconds > 0:
                self.sleep(seconds)
            wait = min(self.first_wait * 2**attempt, self.longest_wait)
            try:
                status, headers, body = self._request(at, max_bytes)
            except errors.HTTPError as error:
                problem = _words(error)
                # Nobody listens there, or the name is unknown: more tries would not help.
                if attempt and isinstance(_cause(error), errors.NewConnectionError):
                    break
                attempt += 1
                continue
            finally:
                self._last = self.clock()
            if status == 200:
                return body
            if status in (404, 410):
                raise SkipError("not_found", f"the server has no such entry (status {status}): {at}")
            if status in REDIRECTS:
                location = headers.get("Location", "")
                following = absolute(at, location)
                redirects += 1
                if following is None or not same_host(url, following):
                    problem = f"it redirects to another host, {location[:200]!r}"
                    break
                if redirects > MOST_REDIRECTS:
                    problem = f"more than {MOST_REDIRECTS} redirects"
                    break
                at, wait = following, 0.0
                continue
            problem = f"status {status}{_detail(body)}"
            if status not in BUSY:
                break
            stated = _retry_after(headers)
            if stated is not None and stated > self.longest_wait:
                problem += f", and a wait of {stated:.0f} s before the next request"
                break
            wait = wait if stated is None else stated
            attempt += 1
        raise UnreachableError(f"{url} cannot be read: {problem}")

    def _request(self, url: str, max_bytes: int) -> tuple[int, Any, bytes]:
        """Status, headers and body of one request; of an error only the beginning of the body."""
        urllib3 = optional("urllib3", "online", f"asking {urlsplit(url).hostname}")
        answer = self._pool(urllib3, url).request(
            "GET",
            url,
            headers={"User-Agent": AGENT, "Accept-Encoding": "gzip"},
            timeout=urllib3.Timeout(connect=self.timeout, read=self.timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            if answer.status != 200:
                body = answer.read(4096, decode_content=True)
                answer.close()
                return answer.status, answer.headers, body
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
            return answer.status, answer.headers, b"".join(pieces)
        finally:
            answer.release_conn()

    def _pool(self, urllib3: Any, url: str) -> Any:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme, "")
        if proxy and proxy_bypass(parts.netloc):
            proxy = ""
        if proxy not in self._pools:
            self._pools[proxy] = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
        return self._pools[proxy]


def count_range(value: str) -> tuple[str, str]:
    """The least and the largest number of elements that a search asks for: ``3`` or ``2-4``.

    Raises:
        InputError: it is neither a number nor a range.
    """
    bounds = value.split("-")
    if len(bounds) > 2 or not all(re.fullmatch("[0-9]{1,3}", bound) for bound in bounds):
        raise InputError(f"nelements={value!r} is neither a number nor a range such as 2-4")
    return bounds[0], bounds[-1]


def absolute(url: str, link: str) -> str | None:
    """The address of a link in an answer from `url`; None where it is no address of HTTP."""
    try:
        whole = urljoin(url, link)
        return whole if urlsplit(whole).scheme in ("http", "https") else None
    except ValueError:  # such as http://[
        return None


def same_host(url: str, other: str) -> bool:
    """Whether two addresses are on one host."""
    return urlsplit(url).hostname == urlsplit(other).hostname


def _detail(body: bytes) -> str:
    """The text of an error in JSON:API."""
    try:
        first = json.loads(body)["errors"][0]
        return f", {first.get('detail') or first['title']}"[:300]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""


def _retry_after(headers: Any) -> float | None:
    """Seconds of ``Retry-After``, which states seconds or a date."""
    urllib3 = optional("urllib3", "online", "asking a database")
    stated = headers.get("Retry-After")
    try:
        return None if stated is None else float(urllib3.Retry().parse_retry_after(stated))
    except (urllib3.exceptions.InvalidHeader, ValueError):
        return None


def _cause(error: Exception) -> Any:
    return getattr(error, "reason", None) or error


def _words(error: Exception) -> str:
    """An error of urllib3 without the addresses of its objects."""
    inner = _cause(error)
    return f"{type(inner).__name__}: {str(inner).rpartition('>: ')[2] or type(inner).__name__}"


def cache_folder() -> str:
    """Where fetched files are kept: ``ATOMSIGHT_CACHE``, else the user's cache folder of this system."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or "~"
    elif os.uname().sysname == "Darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return os.environ.get("ATOMSIGHT_CACHE") or os.path.join(os.path.expanduser(base), "atomsight")
