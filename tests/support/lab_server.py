"""A web server on loopback that misbehaves on demand, for the readers of databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Answer:
    """What the server sends: `cut` bytes only of what it announces, after `delay` seconds."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None
    hang_up: bool = False


@dataclass
class Lab:
    """The server: `answer` makes the answer to a path; `asked` and `agents` say what was asked, by whom."""

    url: str
    asked: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[str, int], Answer]) -> Iterator[Lab]:
    """Serve; `answer` gets the path and how often it was asked before."""
    lab = Lab("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            before = lab.asked.count(self.path)
            lab.asked.append(self.path)
            lab.agents.append(self.headers.get("User-Agent", ""))
            made = answer(self.path, before)
            time.sleep(made.delay)
            if made.hang_up:
                self.connection.close()
                self.close_connection = True
                return
            self.send_response(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body[: made.cut])
            if made.cut is not None:
                self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    lab.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield lab
    finally:
        server.shutdown()
        server.server_close()
