"""Protection of the server: allowed hosts and origins, request sizes, and what the page may load.

The server listens on this machine, but any page in the browser could send requests to it. Therefore the
Host header must be an IP address or ``localhost``: another name that resolves to this machine indicates DNS
rebinding. Requests from other origins are refused.
"""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atomsight.web.addresses import is_address

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: the page loads only from this server, and scripts in texts do not run."""

HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
"""Valid Host header: host name or address with an optional port, without user name and path."""

BODY_SECONDS = 60.0
"""Time limit for the next part of a request's body."""

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
)


class Guard:
    """ASGI middleware around the whole app.

    Args:
        app: the app.
        names: allowed host names besides ``localhost`` and IP addresses.
        most_bytes: largest size of a request's body in bytes.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], most_bytes: int) -> None:
        self.app, self.names, self.most_bytes = app, names, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward an allowed request to the app, and refuse others."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self._is_allowed(host):
            await _refuse(send, 421, "this host name is not allowed; use http://127.0.0.1")
        elif not _is_same_origin(host, headers.get(b"origin"), headers.get(b"sec-fetch-site"), scope["path"]):
            await _refuse(send, 403, "requests from other pages are not allowed")
        elif _length(headers.get(b"content-length")) > self.most_bytes:
            await _refuse(send, 413, f"more than {self.most_bytes >> 20:,} MB in one request")
        else:
            await self._forward(scope, receive, send)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0
        complete = False

        async def receive_limited() -> Message:
            nonlocal taken, complete
            try:
                message = await asyncio.wait_for(receive(), None if complete else BODY_SECONDS)
            except TimeoutError:
                raise HTTPException(408, f"no data for {BODY_SECONDS:g} s") from None
            complete = not message.get("more_body", False)
            taken += len(message.get("body", b""))
            if taken > self.most_bytes:  # A body without a Content-Length is counted while it arrives.
                raise HTTPException(413, f"more than {self.most_bytes >> 20:,} MB in one request")
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message.get("headers", ())}
                added = [header for header in HEADERS if header[0] not in own]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self.app(scope, receive_limited, send_with_headers)

    def _is_allowed(self, host: str) -> bool:
        if not HOST.fullmatch(host):
            return False
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name == "localhost" or name in self.names or is_address(name)


def _is_same_origin(host: str, origin: str | None, site: str | None, path: str) -> bool:
    """Return whether a request comes from the page, from the address bar, or from another program."""
    if origin is not None and _netloc(origin) != host:
        return False
    return site in (None, "same-origin", "none") or not path.startswith("/api/")


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _length(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
