"""The Crystallography Open Database: by number, list or search, or from a mirror on disk.

Addresses and search parameters are those of its documented REST interface
(https://wiki.crystallography.net/RESTful_API/). Files are kept in the layout of its rsync mirror,
``2/01/64/2016452.cif``, so that a cache is a part of a mirror and a mirror serves as a cache.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from atomsight.core.elements import SYMBOLS, formula_counts, hill_order, parse_elements
from atomsight.core.errors import InputError, UnreachableError
from atomsight.io.budgets import Budget
from atomsight.io.files import members_of as files_in
from atomsight.io.http import HttpClient, cache_folder, count_range
from atomsight.io.member import Member, OnSkip
from atomsight.io.policy import Reason, SkipError

SERVER = "https://www.crystallography.net/cod"
"""Where the COD is, unless ``ATOMSIGHT_COD`` names one of its mirrors."""

MOST_FAILURES = 5
"""Entries in a row that cannot be had before the server counts as gone."""

SUMS = "SHA256SUMS"
"""Lies in each folder of the cache; ``sha256sum -c`` reads it."""

_NUMBER = re.compile(r"[1-9][0-9]{6}\Z")
_LONGEST_PATH = 1024
"""A source of more characters is not looked for on disk."""

_PASSED_ON = frozenset(
    """
    amin amax alpmin alpmax bmin bmax betmin betmax cmin cmax doi gammin gammax issue journal smarts
    spacegroup strictmin strictmax text vmax vmin volume year
    """.split()
)
"""Search parameters that go to the server as they are."""


def members_of(
    asked: str, report: OnSkip, budget: Budget, web: HttpClient | None = None, cache: Path | None = None
) -> Iterator[Member]:
    """The CIFs that a source ``cod:...`` names.

    - ``2016452`` or ``2016452,2016453``: by number;
    - ``list.txt``: a file of numbers, the first word of each line (``#`` begins a comment);
    - a folder: a mirror, read without any network;
    - ``?formula=C9 H8 O4``, ``?elements=Cu,O&without=C&nelements=2-3``, ``?text=quartz``: a search.

    Each is fetched once and kept, see `Cache`; entries that cannot be had are reported and passed over.

    Raises:
        InputError: it is none of these, or the cache cannot be written.
        UnreachableError: the search fails, or several entries in a row do; run again to go on from there.
        MissingExtraError: urllib3 is not installed and something must be fetched.
    """
    path = Path(asked)
    if asked and len(asked) < _LONGEST_PATH and path.is_dir():
        yield from _mirror(path, report, budget)
        return
    max_bytes = budget.max_bytes
    server = os.environ.get("ATOMSIGHT_COD", SERVER).rstrip("/")
    web = web or HttpClient()
    kept = Cache(cache or Path(cache_folder(), "cod"))
    failures = 0
    try:
        numbers = _numbers(asked, server, web, max_bytes)
    except SkipError as error:
        report(f"cod:{asked}", error.reason)
        return
    for number in numbers:
        source = f"cod:{number}"
        data = kept.get(number)
        if data is None:
            try:
                data = _checked(web.get(f"{server}/{number}.cif", max_bytes), number)
            except SkipError as error:
                report(source, error.reason)
                continue
            except UnreachableError as error:
                report(source, Reason("unreachable", str(error)))
                failures += 1
                if failures == MOST_FAILURES:
                    raise UnreachableError(
                        f"{error}; {failures} entries in a row could not be had. Those fetched so far are in "
                        f"{kept.folder}: run the same command again to go on"
                    ) from error
                continue
            failures = 0
            try:
                kept.put(number, data)
            except OSError as error:
                raise InputError(
                    f"the cache {kept.folder} cannot be written ({error.strerror or error}); make room, or "
                    "name another folder in ATOMSIGHT_CACHE"
                ) from error
        elif len(data) > max_bytes:
            report(source, Reason("too_large", f"larger than the limit of {max_bytes} bytes per file"))
            continue
        yield Member(number, source, data)


def place(number: str) -> str:
    """Where the rsync mirror keeps an entry: ``2/01/64/2016452.cif``."""
    return f"{number[0]}/{number[1:3]}/{number[3:5]}/{number}.cif"


def _numbers(asked: str, server: str, web: HttpClient, max_bytes: int) -> list[str]:
    if asked.startswith("?"):
        query = search_query(dict(parse_qsl(asked[1:], keep_blank_values=True)))
        answer = web.get(f"{server}/result?{urlencode(query)}", max_bytes).decode("utf-8", "replace")
        numbers = [word for word in answer.split() if _NUMBER.match(word)]
        if not numbers and answer.strip() and "<" in answer:
            raise UnreachableError(f"the search of {server} answers with a page, not with a list of numbers")
        if not numbers:
            raise SkipError("no_cif", f"the COD has nothing for {asked[1:]!r}")
        return sorted(set(numbers))
    path = Path(asked)
    if len(asked) < _LONGEST_PATH and path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            listed = file.read(max_bytes)
        lines = (line.split("#")[0].split() for line in listed.splitlines())
        words = [re.sub(r"\.cif$", "", words[0].rsplit("/", 1)[-1]) for words in lines if words]
        wrong = next((word for word in words if not _NUMBER.match(word)), None)
        if wrong is not None:
            raise InputError(f"{asked}: {wrong[:40]!r} is no COD number; give one of seven digits a line")
        return list(dict.fromkeys(words))
    words = [word.strip() for word in asked.split(",")]
    if not asked or not all(_NUMBER.match(word) for word in words):
        raise InputError(
            f"cod:{asked[:80]} is no number of seven digits, no file with a list of them, no folder with "
            "a mirror and no search; give cod:2016452, cod:list.txt, cod:/path/of/mirror or "
            "cod:?elements=Cu,O"
        )
    return list(dict.fromkeys(words))


def search_query(asked: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a search in the COD's own words.

    ``formula`` takes any order and is put into Hill's; ``elements`` must be present and ``without`` absent,
    symbols with commas; ``nelements`` is a number or a range of distinct elements (``2-4``). Others go on as
    they are.

    Raises:
        InputError: a parameter is unknown, or has a value that cannot be.
    """
    query: dict[str, str] = {}
    for name, value in asked.items():
        if name == "formula":
            counts = formula_counts(value)
            if not counts:
                raise InputError(f"formula {value!r} cannot be read; give one such as 'C9 H8 O4'")
            order = hill_order(counts)
            query["formula"] = " ".join(f"{s}{counts[s]:g}" if counts[s] != 1 else s for s in order)
        elif name in ("elements", "without"):
            tag, most = ("el", 8) if name == "elements" else ("nel", 4)
            symbols = [SYMBOLS[z] for z in parse_elements(value)]
            if len(symbols) > most:
                raise InputError(f"the COD takes at most {most} elements for {name!r}, not {len(symbols)}")
            query.update({f"{tag}{i}": symbol for i, symbol in enumerate(symbols, start=1)})
        elif name == "nelements":
            query["strictmin"], query["strictmax"] = count_range(value)
        elif name in _PASSED_ON:
            query[name] = value
        else:
            known = ", ".join(sorted({"formula", "elements", "without", "nelements", *_PASSED_ON}))
            raise InputError(f"the COD is not searched by {name!r}; it is by {known}")
    if not query:
        raise InputError("nothing to search the COD for; give cod:?elements=Cu,O or cod:?formula=C9 H8 O4")
    query["format"] = "lst"
    return query


def _checked(data: bytes, number: str) -> bytes:
    """The CIF of an entry: an error page, or another entry, is neither kept nor used."""
    if not re.search(rb"^data_", data, re.MULTILINE):
        raise UnreachableError(f"the server's answer for {number} is no CIF: {data[:60]!r}")
    stated = re.search(rb"^_cod_database_code\s+'?(\d+)", data, re.MULTILINE)
    if stated is not None and stated.group(1).decode() != number:
        raise UnreachableError(f"the server's answer for {number} is entry {stated.group(1).decode()}")
    return data


def _mirror(folder: Path, report: OnSkip, budget: Budget) -> Iterator[Member]:
    def called(source: str) -> str:
        return source.replace(str(folder), f"cod:{folder}", 1)

    for member in files_in(folder, lambda s, r: report(called(s), r), budget):
        numbered = _NUMBER.match(member.name) is not None
        yield replace(member, source=f"cod:{member.name}" if numbered else called(member.source))


@dataclass
class Cache:
    """Fetched CIFs in the layout of the mirror, each with its SHA-256 in the `SUMS` of its folder.

    A file that is not what it was when it was fetched is fetched again. Files that no sum is known of, as in
    a folder filled by rsync, are taken as they are.
    """

    folder: Path
    _known: dict[Path, dict[str, str]] = field(default_factory=dict)

    def get(self, number: str) -> bytes | None:
        """The CIF of an entry; None where it is not there, or not as it was."""
        path = self.folder / place(number)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        stated = self._sums(path.parent).get(path.name)
        return data if stated in (None, sha256(data).hexdigest()) else None

    def put(self, number: str, data: bytes) -> None:
        """Keep a CIF; a reader meets the old file or the whole new one, never a part."""
        path = self.folder / place(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
        digest = sha256(data).hexdigest()
        # The sum goes first: a file without its sum would be trusted, a sum without its file harms nothing.
        with (path.parent / SUMS).open("a", encoding="ascii") as sums:
            sums.write(f"{digest}  {path.name}\n")
        self._sums(path.parent)[path.name] = digest
        temporary.write_bytes(data)
        os.replace(temporary, path)

    def _sums(self, folder: Path) -> dict[str, str]:
        if folder not in self._known:
            try:
                lines = (folder / SUMS).read_text(encoding="ascii").splitlines()
            except OSError:
                lines = []
            pairs = (line.split() for line in lines)
            self._known = {folder: {pair[1]: pair[0] for pair in pairs if len(pair) == 2}}
        return self._known[folder]
