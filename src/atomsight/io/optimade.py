"""OPTIMADE: structures of any provider (https://specs.optimade.org, v1)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import numpy as np

from atomsight.core.elements import SYMBOLS, formula_counts, parse_elements, reduced_counts
from atomsight.core.errors import InputError, UnreachableError
from atomsight.io.assemble import Structure
from atomsight.io.budgets import Budget
from atomsight.io.http import HttpClient, absolute, count_range, same_host
from atomsight.io.member import Member, OnSkip
from atomsight.io.plain import lattice_from, structure_of
from atomsight.io.policy import Reason, SkipError

PROVIDERS = "https://providers.optimade.org/v1/links"
"""The consortium's list of providers, unless ``ATOMSIGHT_OPTIMADE`` names another."""

FIELDS = (
    *("lattice_vectors", "cartesian_site_positions", "species", "species_at_sites", "assemblies"),
    *("dimension_types", "nperiodic_dimensions"),
)


def members_of(asked: str, report: OnSkip, budget: Budget, web: HttpClient | None = None) -> Iterator[Member]:
    """The structures that a source ``optimade:...`` names, one JSON object each.

    ``optimade:PROVIDER?...`` or ``optimade:https://server/...?...``, with ``filter=`` (OPTIMADE's own
    language) or ``elements=Ti,O``, ``nelements=2``, ``formula=TiO2``, ``ids=a,b``, joined by AND; ``limit=``
    is the most structures taken. A structure that cannot be used is reported and the rest goes on. When a
    page fails for good after some were read, that is reported too, and what came before stays. Pages are
    followed on the server that was asked alone, and only so many without a structure.

    Raises:
        InputError: the provider is unknown, or the question cannot be asked.
        UnreachableError: the server does not answer at all.
        MissingExtraError: urllib3 is not installed.
    """
    # A path's double slash is one to pathlib.
    where, _, query = re.sub(r"^(https?):/+", r"\1://", asked).partition("?")
    web = web or HttpClient()
    options = dict(parse_qsl(query, keep_blank_values=True))
    limit = options.pop("limit", "") or "0"
    if not re.fullmatch("[0-9]{1,9}", limit):
        raise InputError(f"limit={limit!r} is no number")
    wanted = filter_of(options)
    base = where if where.startswith(("http://", "https://")) else base_url(where, web, budget.max_bytes)
    base = versioned(base)
    # No page_limit: a server refuses one above its own, and none says beforehand what that is.
    parameters = {"response_format": "json", "response_fields": ",".join(FIELDS)}
    parameters |= {"filter": wanted} if wanted else {}
    url: str | None = f"{base}/structures?{urlencode(parameters)}"
    short = f"optimade:{where if '://' not in where else urlsplit(where).netloc}"
    given, empty, seen = 0, 0, set()
    while url is not None:
        if url in seen:
            report(short, Reason("damaged", f"the server's pages go round in a circle at {url}"))
            return
        seen.add(url)
        try:
            page = _json(web, url, budget.max_bytes)
            entries = _listed(page, "data", url)
            problems = _listed(page, "errors", url)
        except UnreachableError as error:
            if not given:
                raise
            report(short, Reason("unreachable", f"after {given} structures: {error}"))
            return
        for entry in entries:
            given += 1
            name = _name(entry, given)
            if isinstance(entry, dict):
                yield Member(name, f"{short}/{name}", json.dumps(entry).encode(), "optimade")
            else:
                report(f"{short}/{name}", Reason("syntax", "the provider's entry is no object"))
            if given == int(limit):
                return
            if given == budget.max_members:
                report(short, Reason("too_many_members", f"more than {given} structures"))
                return
        for problem in problems:
            report(short, Reason("unreachable", f"the server reports {_error_text(problem)}"))
        empty = 0 if entries else empty + 1
        following = _next(page, url)
        if following is not None and not same_host(url, following):
            report(short, Reason("damaged", f"the next page lies on another server: {following[:200]}"))
            return
        if following is not None and empty == budget.max_empty_pages:
            report(short, Reason("damaged", f"{empty} pages in a row without a structure"))
            return
        url = following


def filter_of(options: Mapping[str, str]) -> str:
    """The filter that some options stand for, in OPTIMADE's language.

    Raises:
        InputError: an option is unknown, or its value cannot be.
    """
    terms = []
    for name, value in options.items():
        if name == "filter":
            terms.append(f"({value})" if len(options) > 1 else value)
        elif name == "elements":
            symbols = ",".join(f'"{SYMBOLS[z]}"' for z in parse_elements(value))
            terms.append(f"elements HAS ALL {symbols}")
        elif name == "nelements":
            least, most = count_range(value)
            one = f"nelements={least}"
            terms.append(one if least == most else f"nelements>={least} AND nelements<={most}")
        elif name == "formula":
            terms.append(f'chemical_formula_reduced="{_reduced(value)}"')
        elif name == "ids":
            ids = [f'id="{part.strip()}"' for part in value.split(",") if part.strip()]
            terms.append(f"({' OR '.join(ids)})" if len(ids) > 1 else ids[0] if ids else "")
        else:
            raise InputError(
                f"OPTIMADE is not asked by {name!r}, but by filter, elements, nelements, formula, ids, limit"
            )
    return " AND ".join(term for term in terms if term)


def _reduced(text: str) -> str:
    """A formula as OPTIMADE writes it: reduced, elements by the alphabet."""
    counts = formula_counts(text)
    if not counts or any(count != int(count) for count in counts.values()):
        raise InputError(f"formula {text!r} cannot be read; give one such as TiO2")
    shares = reduced_counts({symbol: int(count) for symbol, count in sorted(counts.items())})
    return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in shares.items())


def versioned(base: str) -> str:
    """A base URL with the major version of the API at its end."""
    base = base.rstrip("/").removesuffix("/structures")
    return base if re.search(r"/v\d+(\.\d+)*$", base) else f"{base}/v1"


def base_url(provider: str, web: HttpClient, max_bytes: int) -> str:
    """Return the address of a provider's only or default database.

    ``nmd/archive`` names another of its databases.

    Raises:
        InputError: no such provider, none that serves data, or several databases and none named.
        UnreachableError: the list of providers, or the provider's list of databases, cannot be had.
    """
    name, _, child = provider.partition("/")
    listed = os.environ.get("ATOMSIGHT_OPTIMADE", PROVIDERS)
    providers = _listed(_json(web, listed, max_bytes), "data", listed)
    known = {_name(entry): _url(entry) for entry in providers}
    if name not in known:
        raise InputError(f"no OPTIMADE provider is called {name!r}; there are {', '.join(sorted(known))}")
    index = known[name]
    if index is None:
        raise InputError(f"the OPTIMADE provider {name!r} serves no data at present")
    at = f"{versioned(index)}/links"
    children = {
        _name(entry): url
        for entry in _listed(_json(web, at, max_bytes), "data", at)
        if _within(entry, "attributes", "link_type") == "child" and (url := _url(entry)) is not None
    }
    if child or len(children) == 1:
        chosen = child or next(iter(children))
    else:
        info = _json(web, f"{versioned(index)}/info", max_bytes)
        chosen = str(_within(info, "data", "relationships", "default", "data", "id"))
    if chosen not in children:
        raise InputError(
            f"the OPTIMADE provider {name!r} has the databases {', '.join(sorted(children)) or 'none'}; "
            f"name one of them: optimade:{name}/DATABASE?..."
        )
    return children[chosen]


def _within(value: Any, *keys: str) -> Any:
    """What lies under some keys, one in another; None where the answer has another shape."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _listed(page: Mapping[str, Any], key: str, url: str) -> list[Any]:
    """The list under a key; empty where there is none.

    Raises:
        UnreachableError: it is no list.
    """
    found = page.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise UnreachableError(f"{url} does not answer as OPTIMADE does: {key!r} is no list")
    return found


def _url(entry: Any) -> str | None:
    """The base URL of a link."""
    base = _href(_within(entry, "attributes", "base_url"))
    return base if base.startswith(("http://", "https://")) else None


def _href(link: Any) -> str:
    """The address of a link, which is a string or an object with one; empty for any other value."""
    address = link.get("href") if isinstance(link, dict) else link
    return address if isinstance(address, str) else ""


def _json(web: HttpClient, url: str, max_bytes: int) -> dict[str, Any]:
    try:
        page = json.loads(web.get(url, max_bytes))
    except (ValueError, RecursionError):
        raise UnreachableError(f"{url} does not answer with JSON") from None
    except SkipError as error:
        raise UnreachableError(str(error)) from error
    if not isinstance(page, dict):
        raise UnreachableError(f"{url} does not answer as OPTIMADE does")
    return page


def _next(page: Mapping[str, Any], url: str) -> str | None:
    """The address of the next page, where the answer names one on the same kind of server."""
    following = _href(_within(page, "links", "next"))
    return absolute(url, following) if following else None


def _name(entry: Any, place: int = 0) -> str:
    name = _within(entry, "id")
    return str(name)[:200] if isinstance(name, str | int) else f"without id {place}"


def _error_text(problem: object) -> str:
    if isinstance(problem, dict):
        return str(problem.get("detail") or problem.get("title") or problem)
    return str(problem)


def decode(data: bytes) -> Structure:
    """The structure of a structure resource."""
    attributes = json.loads(data).get("attributes") or {}
    if not isinstance(attributes, dict):
        raise SkipError("syntax", "the attributes of the entry are no object")
    return parse(attributes)


def parse(attributes: Mapping[str, Any]) -> Structure:
    """The structure of the attributes of a resource: all atoms of the cell, as OPTIMADE gives them.

    Species shared by several elements, and those with vacancies, become partly occupied atoms; assemblies
    become disorder groups; hydrogens that are only counted (``attached``) leave the flag
    ``missing_hydrogen``.

    Raises:
        SkipError: ``no_cell``, ``no_sites``, ``missing_coordinates``, ``unknown_element``, or ``syntax``.
        LookupError, TypeError, ValueError, AttributeError: the attributes have another shape than OPTIMADE
            gives them.
    """
    periodic = attributes.get("dimension_types")
    if periodic is None:
        periodic = [1] * (attributes.get("nperiodic_dimensions") or 3)
        periodic += [0] * (3 - len(periodic))
    lattice = lattice_from(
        [[np.nan if v is None else v for v in row] for row in attributes.get("lattice_vectors") or []],
        periodic,
    )
    positions = attributes.get("cartesian_site_positions")
    names = attributes.get("species_at_sites")
    species = {kind["name"]: kind for kind in attributes.get("species") or []}
    if not positions or not names:
        raise SkipError("no_sites", "the provider gives no positions or no species of the sites")
    if len(positions) != len(names):
        raise SkipError("syntax", f"{len(positions)} positions for {len(names)} species of sites")
    cartesian = np.array([[np.nan if x is None else x for x in row] for row in positions], dtype=np.float64)
    fractional = np.linalg.solve(lattice.T, cartesian.T).T
    assembly_of, group_of, share_of = _assemblies(attributes.get("assemblies") or [])
    rows, symbols, labels, occupancy = [], [], [], []
    flags: set[str] = set()
    for row, name in enumerate(names):
        kind = species.get(name)
        if kind is None:
            raise SkipError("unknown_element", f"site {row + 1}: species {name!r} is not described")
        for element in kind.get("attached") or []:
            if element != "H":
                raise SkipError("missing_coordinates", f"site {row + 1} carries {element} without a position")
            flags.add("missing_hydrogen")
        shares = kind.get("concentration") or [1.0] * len(kind["chemical_symbols"])
        for element, share in zip(kind["chemical_symbols"], shares, strict=True):
            if element == "vacancy":
                continue
            rows.append(row)
            symbols.append(element)
            labels.append(f"{element}{row + 1}")
            occupancy.append(float(share) * share_of.get(row, 1.0))
    return structure_of(
        lattice,
        symbols,
        fractional[rows],
        labels=labels,
        occupancy=occupancy,
        groups=[group_of.get(row, "") for row in rows] if group_of else None,
        assemblies=[assembly_of.get(row, "") for row in rows] if group_of else None,
        flags=frozenset(flags),
    )


def _assemblies(listed: list[Any]) -> tuple[dict[int, str], dict[int, str], dict[int, float]]:
    """For each site of an assembly: the assembly, the group in it, and the group's probability."""
    assembly_of, group_of, share_of = {}, {}, {}
    for number, assembly in enumerate(listed, start=1):
        groups = zip(assembly["sites_in_groups"], assembly["group_probabilities"], strict=True)
        for group, (sites, share) in enumerate(groups, start=1):
            for site in sites:
                assembly_of[site], group_of[site], share_of[site] = str(number), str(group), float(share)
    return assembly_of, group_of, share_of
