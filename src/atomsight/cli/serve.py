"""``atomsight serve``: the page on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atomsight.cli._output import emit, err, keeps, note

EPILOG = "Example: [bold]atomsight serve[/], then drop a CIF on the page"


@keeps("what was uploaded is removed")
def serve(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port; 0 takes any.", show_default="8421 or the next free one"),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at. Others than 127.0.0.1 let other machines in.")
    ] = "127.0.0.1",
    dataset: Annotated[
        Path | None,
        typer.Option(metavar="DATASET", help="Name precedents from it, and show its distances."),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    max_upload: Annotated[int, typer.Option(min=1, help="MB that all uploads together may hold.")] = 1024,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the networks; 0 takes all cores.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the address as a JSON object.")] = False,
) -> None:
    """Open a page on this machine: which atoms are wrong, candidates in order, what is usual.

    Everything stays on this machine. End it with Ctrl-C; what was uploaded is removed then.
    """
    import sys

    from atomsight.web.run import is_loopback
    from atomsight.web.run import serve as serve_page

    if not is_loopback(host):
        note(
            f"{host} lets other machines in: whoever reaches it can use this page, and what is sent to it "
            "travels unencrypted",
            "warning",
        )

    def ready(address: str) -> None:
        if as_json:
            emit({"address": address})
            sys.stdout.flush()
        else:
            err.print(f"open {address}   (end with Ctrl-C)")

    serve_page(
        host,
        port,
        dataset=dataset,
        max_upload=max_upload << 20,
        threads=threads,
        browser=not no_browser,
        on_ready=ready,
    )
