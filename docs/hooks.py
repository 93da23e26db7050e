"""MkDocs hooks: the command-line reference made from the commands themselves, and pages from outside docs/.

The command line is rendered from the same objects as ``--help``, so that the page cannot drift. The notebook
and three files of the repository's root become pages, so that links to them work on the site as in the
repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

GENERATED = "reference/command-line.md"

FROM_ROOT = {name: f"project/{name.lower()}" for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")}
"""Files of the repository's root that become pages, with their place on the site."""

_TARGET = re.compile(r"(\]\()([^)\s:#]+)((?:#[^)\s]*)?\))")


def command_line() -> str:
    """Markdown page of every command, its arguments and its options."""
    from typer.main import get_command

    from atomsight.cli.main import app

    parts = [
        "# Command line",
        "",
        "This page is made from `atomsight --help` when the documentation is built.",
        "",
        "Exit status: 0 if at least one crystal was handled, 1 if none was or the work failed, 2 for wrong",
        "usage, 130 after Ctrl-C. A crystal that cannot be used is reported on standard error; with `--json`",
        'it is a line `{"source": ..., "skipped": reason}`.',
        "",
    ]
    for name, command in _commands("atomsight", get_command(app)):
        parts += _section(name, command)
    return "\n".join(parts)


def _commands(name: str, command: Any) -> list[tuple[str, Any]]:
    """Every command without subcommands, by its full name."""
    if not hasattr(command, "commands"):
        return [(name, command)]
    return [found for sub, child in command.commands.items() for found in _commands(f"{name} {sub}", child)]


def _section(name: str, command: Any) -> list[str]:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([name, *(_placeholder(p) for p in arguments), "[OPTIONS]"])
    parts = [f"## {name}", "", _escaped(command.help or ""), "", "```text", usage, "```", ""]
    parts += ["| argument or option | value | default | meaning |", "|---|---|---|---|"]
    for p in [*arguments, *options]:
        names = _placeholder(p) if p in arguments else ", ".join([*p.opts, *p.secondary_opts])
        default = "required" if p.required else _default(p)
        meaning = _escaped(p.help or "").replace("\n", " ").replace("|", "\\|")
        parts.append(f"| `{names}` | {_value(p)} | {default} | {meaning} |")
    if command.epilog:
        example = re.sub(r"^Example:\s*", "", re.sub(r"\[/?\w*\]", "", command.epilog)).strip()
        parts += ["", f"Example: `{example}`"]
    return [*parts, ""]


def _placeholder(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).upper().strip("{}[]. ")
    return f"{name}..." if parameter.nargs == -1 else name


def _value(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    if parameter.param_type_name == "option" and parameter.metavar:
        return f"`{parameter.metavar}`"
    described = getattr(parameter, "type_descriptor", None)
    name = getattr(getattr(described, "annotation", None), "__name__", "")
    return {"str": "text", "int": "number", "float": "number", "Path": "path", "list": ""}.get(name, name)


def _default(parameter: Any) -> str:
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return shown
    if parameter.default is None or parameter.default is False or callable(parameter.default):
        return ""
    return f"`{parameter.default}`"


def _escaped(text: str) -> str:
    return re.sub(r"<", "&lt;", re.sub(r"\[/?(?:bold|dim|italic|\w*green|\w*red)\]", "", text)).strip()


def on_files(files: Any, config: Any) -> Any:
    """Add the generated page, the notebook, and the pages of the repository's root."""
    from mkdocs.structure.files import File

    def add(place: str, **content: Any) -> None:
        files.append(File.generated(config, place, **content))

    add(GENERATED, content=command_line())
    for path in sorted((ROOT / "notebook").rglob("*.*")):
        place = path.relative_to(ROOT).as_posix().replace("README.md", "index.md")
        if path.suffix == ".md":
            add(place, content=_moved(path, place))
        else:
            add(place, abs_src_path=str(path))
    for name, place in FROM_ROOT.items():
        if (ROOT / name).exists():
            add(place, content=_moved(ROOT / name, place))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links that leave docs/ at the pages that `on_files` added."""
    return _relinked(markdown, ROOT / "docs" / page.file.src_uri, page.file.src_uri)


def _moved(path: Path, place: str) -> str:
    """A page whose links, relative to its place in the repository, are made relative to that on the site."""
    text = path.read_text(encoding="utf-8")
    return _relinked(text, path, place)


def _relinked(text: str, path: Path, place: str) -> str:
    def relinked(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(path.parent.as_posix(), match[2]))
        root = ROOT.as_posix() + "/"
        if not target.startswith(root):
            return match[0]
        inside = target.removeprefix(root)
        site = FROM_ROOT.get(inside)
        if inside.startswith("notebook/"):
            site = inside.replace("README.md", "index.md")
        elif inside.startswith("docs/") and not path.is_relative_to(ROOT / "docs"):
            site = inside.removeprefix("docs/")
        if site is None:
            return match[0]
        return match[1] + posixpath.relpath(site, posixpath.dirname(place) or ".") + match[3]

    return _TARGET.sub(relinked, text)
