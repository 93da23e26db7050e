"""What is printed: texts exactly as they are, but for what would steer a terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from atomsight.cli import _output
from atomsight.cli._output import Saving, Skips, TextConsole, finish, interruptible, printable
from atomsight.core.errors import OutputError
from atomsight.core.wording import counted

HOSTILE = "z[bold]ero[1] :smile: \x1b[31mred\x1b]0;title\x07 \x9b2J \u202ecba"


def shown(value: object, **options: object) -> str:
    console = TextConsole(file=io.StringIO(), width=200, force_terminal=True, **options)
    console.print(value)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrap", [str, Text], ids=["str", "Text"])
@pytest.mark.parametrize("tabled", [False, True], ids=["alone", "in a table"])
def test_texts_are_printed_as_texts(wrap: type, tabled: bool) -> None:
    value = wrap(HOSTILE)
    if tabled:
        table = Table(title=wrap(HOSTILE))
        table.add_column(wrap(HOSTILE))
        table.add_row(wrap(HOSTILE))
        value = table
    text = shown(value, color_system=None)
    assert "z[bold]ero[1] :smile: �[31mred�]0;title" in text
    assert not set(text) & set("\x07\x1b\x9b\u202e")


def test_styles_and_live_displays_still_reach_the_terminal() -> None:
    assert "\x1b[1m" in shown(Text("bold", "bold"), color_system="standard")
    console = TextConsole(file=io.StringIO(), force_terminal=True)
    with Progress(console=console) as progress:
        progress.add_task("reading")
    assert "\x1b[?25l" in console.file.getvalue()  # type: ignore[attr-defined]


def test_ordinary_text_is_printable() -> None:
    text = "Å × µ ± é 漢字\tα\n"
    assert printable(text) == text


def test_skips_are_exact(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    reason = "needs pymatgen: pip install 'atomsight[interop]'"
    Skips(as_json=False)("z[bold]ero[1].cif", reason)
    assert " ".join(capsys.readouterr().err.split()) == f"skipped z[bold]ero[1].cif: {reason}"
    Skips(as_json=True)(HOSTILE, reason)
    assert json.loads(capsys.readouterr().out) == {"source": HOSTILE, "skipped": reason}


def test_counts_agree_with_their_nouns() -> None:
    assert counted(1, "crystal") == "1 crystal"
    assert counted(0, "crystal") == "0 crystals"
    assert counted(2000, "family", "families") == "2,000 families"


def test_a_failure_of_writing_waits_for_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    saving = Saving()
    with saving:
        raise OutputError("cannot write order.csv: No space left on device")
    saving.report(Path("folder"))
    assert capsys.readouterr().err == ""
    with pytest.raises(OutputError, match=r"order\.csv"):
        finish(3, saving)
    with pytest.raises(ZeroDivisionError), Saving():
        raise ZeroDivisionError


def test_an_interrupt_says_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    @interruptible("the archives are complete")
    def verb() -> None:
        raise KeyboardInterrupt

    with pytest.raises(_output.typer.Exit) as end:
        verb()
    assert end.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted: the archives are complete\n"
