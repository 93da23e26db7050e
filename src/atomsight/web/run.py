"""The server process of the page, and the browser that opens it."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from atomsight.core.errors import InputError, MissingExtraError
from atomsight.parallel.pool import Limits
from atomsight.web.addresses import is_address
from atomsight.web.reading import LIMITS
from atomsight.web.uploads import MAX_UPLOAD

PORT = 8421
"""Default port; if it is taken, the next free port is used."""

_TRIES = 20


def serve(
    host: str = "127.0.0.1",
    port: int | None = None,
    *,
    dataset: Path | None = None,
    max_upload: int = MAX_UPLOAD,
    threads: int = 0,
    limits: Limits = LIMITS,
    browser: bool = True,
    on_ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        host: address to listen on.
        port: port to listen on; None uses `PORT` or the next free port, 0 any free port.
        dataset: dataset for similar sites and distributions; None uses the bundled tables.
        max_upload: largest size of all uploads together in bytes.
        threads: threads of the neural networks; 0 uses all cores.
        limits: time and memory for reading one file; a file that exceeds them is skipped.
        browser: open the page in the default browser.
        on_ready: receives the page's address when the server answers.

    Raises:
        MissingExtraError: the extra ``web`` is not installed.
        InputError: the port is taken, or the dataset cannot be opened.
    """
    try:
        import uvicorn

        from atomsight.web.app import create_app
        from atomsight.web.protocol import TimedProtocol
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "web", "the page") from error
    if dataset is not None:
        from atomsight.dataset import open_dataset

        open_dataset(dataset)
    listening = _listen(host, port)
    number = listening.getsockname()[1]
    shown = "127.0.0.1" if host in ("", "0.0.0.0") else f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{number}/"
    names = frozenset() if is_address(host) else frozenset({host.lower()})
    app = create_app(dataset=dataset, max_upload=max_upload, names=names, threads=threads, limits=limits)
    settings = uvicorn.Config(
        app,
        http=TimedProtocol,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    server = uvicorn.Server(settings)

    def ready() -> None:
        while not server.started and not server.should_exit:
            threading.Event().wait(0.05)
        if server.started:
            on_ready(address)
            if browser:
                webbrowser.open(address)

    threading.Thread(target=ready, daemon=True).start()
    with suppress(KeyboardInterrupt):  # Ctrl-C is the regular end of the server.
        server.run(sockets=[listening])


def _listen(host: str, port: int | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    wanted = [port] if port is not None else [*range(PORT, PORT + _TRIES), 0]
    for number in wanted:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
        except OSError as error:
            listening.close()
            problem = error
            continue
        listening.listen(64)
        return listening
    raise InputError(
        f"cannot listen on {host}:{wanted[0]} ({problem.strerror or problem}); use another --port or --host"
    )
