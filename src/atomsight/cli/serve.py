"""The verb ``serve``: the local web page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from atomsight.cli import options
from atomsight.cli._output import emit, err, interruptible, note

EPILOG = "Example: [bold]atomsight serve[/], then drop a CIF on the page"


@interruptible("uploaded files are removed")
def serve(
    port: Annotated[
        int | None,
        Option(
            min=0, max=65535, help="Port; 0 uses any free port.", show_default="8421 or the next free port"
        ),
    ] = None,
    host: Annotated[
        str, Option(help="Address to listen on. Any other than 127.0.0.1 admits other machines.")
    ] = "127.0.0.1",
    dataset: Annotated[
        Path | None,
        Option(
            metavar="DATASET",
            help="Dataset for similar sites and distance distributions.",
            show_default="tables of the training data",
        ),
    ] = None,
    no_browser: Annotated[bool, Option("--no-browser", help="Do not open a web browser.")] = False,
    max_upload: Annotated[int, Option(min=1, metavar="MB", help="Total size of all uploaded files.")] = 1024,
    max_seconds: Annotated[
        float, Option(min=0.001, metavar="S", help="Skip a file if reading it takes more time.")
    ] = 60,
    max_memory: Annotated[
        float, Option(min=0.5, metavar="GIB", help="Skip a file if reading it takes more memory.")
    ] = 4,
    threads: options.Threads = 0,
    as_json: options.AsJson = False,
) -> None:
    """Serve a web page on this machine: check structures, rank candidates, explore distances.

    Files stay on this machine. Ctrl-C stops the server and removes the uploaded files.
    """
    import sys

    from atomsight.parallel.pool import Limits
    from atomsight.web.addresses import is_loopback
    from atomsight.web.run import serve as serve_page

    if not is_loopback(host):
        note(
            f"{host} admits other machines: anyone who reaches it can use this page, and transfers are not "
            "encrypted",
            "warning",
        )

    def ready(address: str) -> None:
        if as_json:
            emit({"address": address})
            sys.stdout.flush()
        else:
            err.print(f"open {address}   (stop with Ctrl-C)")

    serve_page(
        host,
        port,
        dataset=dataset,
        max_upload=max_upload << 20,
        threads=threads,
        limits=Limits(max_seconds, int(max_memory * 2**30)),
        browser=not no_browser,
        on_ready=ready,
    )
