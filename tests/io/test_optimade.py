"""OPTIMADE: a real server of the reference implementation, and a small one that misbehaves."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest

import atomsight
from atomsight.core.errors import InputError, UnreachableError
from atomsight.io import DEFAULT, Budget, Member, crystals_of
from atomsight.io.http import HttpClient
from atomsight.io.optimade import filter_of, members_of, parse, versioned
from atomsight.io.policy import SkipError
from lab_server import Answer, serving

pytest.importorskip("urllib3")
DATA = Path(__file__).parents[1] / "data"
FILES = [DATA / name for name in ("halite.cif", "cod-2100840.cif", "ice-vii.cif", "w2c.cif")]

COPIES = 6
HALITE = "9008678"


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of the reference server; what it holds takes two pages."""
    pytest.importorskip("optimade.server.config")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).parents[1] / "support" / "optimade_server.py"
    process = subprocess.Popen(
        [sys.executable, str(script), str(port), str(COPIES), *map(str, FILES)],
        cwd=tmp_path_factory.mktemp("server"),
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stderr=subprocess.PIPE,
    )
    try:
        for _ in range(300):
            try:
                urlopen(f"http://127.0.0.1:{port}/v1/info", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr.read().decode()  # type: ignore[union-attr]
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        process.stderr.close()  # type: ignore[union-attr]


def test_the_reference_server_gives_back_the_crystals_it_holds(real_server: str) -> None:
    direct = {crystal.name: crystal for crystal in atomsight.read(FILES)}
    skips: list[tuple[str, str]] = []
    found = list(atomsight.read(f"optimade:{real_server}", on_skip=lambda *skip: skips.append(skip)))
    assert skips == []
    assert sorted(c.name for c in found) == sorted(f"{name}.{i}" for name in direct for i in range(COPIES))
    for crystal in found:
        known = direct[crystal.name.split(".")[0]]
        assert crystal.formula == known.formula
        assert crystal.n_atoms == known.n_atoms
        mine, theirs = (
            np.sort(atomsight.nearest_neighbours(c.lattice, c.fractional, 6)[0], axis=0)
            for c in (crystal, known)
        )
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
        if known.name == HALITE:
            assert crystal.multiplicities.tolist() == known.multiplicities.tolist()


def test_the_reference_server_understands_what_is_asked(real_server: str) -> None:
    def names(query: str) -> list[str]:
        return [c.name for c in atomsight.read(f"optimade:{real_server}/v1?{query}")]

    halites = [f"{HALITE}.{i}" for i in range(COPIES)]
    assert names("elements=Cl,Na") == halites
    assert names("formula=Na2Cl2") == halites
    assert sorted(names(f"ids={HALITE}.3,2100840.0")) == ["2100840.0", f"{HALITE}.3"]
    assert len(names("limit=3")) == 3
    assert names('nelements=2&filter=elements HAS "Cl"') == halites
    with pytest.raises(UnreachableError, match="400"):
        names("filter=this is no filter")


def entry(name: str, **attributes: Any) -> dict[str, Any]:
    """Rock salt as a resource."""
    positions = [[0, 0, 0], [0, 2.82, 2.82], [2.82, 0, 2.82], [2.82, 2.82, 0]]
    positions += [[2.82, 2.82, 2.82], [2.82, 0, 0], [0, 2.82, 0], [0, 0, 2.82]]
    return {
        "id": name,
        "type": "structures",
        "attributes": {
            "lattice_vectors": [[5.64, 0, 0], [0, 5.64, 0], [0, 0, 5.64]],
            "cartesian_site_positions": positions,
            "species_at_sites": ["Na"] * 4 + ["Cl"] * 4,
            "species": [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in ("Na", "Cl")],
            "dimension_types": [1, 1, 1],
            **attributes,
        },
    }


def page(entries: list[dict[str, Any]], following: Any = None, **more: Any) -> Answer:
    return Answer(json.dumps({"data": entries, "links": {"next": following}, **more}).encode())


def fetch(asked: str) -> tuple[list[Member], list[tuple[str, str]]]:
    skips: list[tuple[str, str]] = []
    web = HttpClient(pause=0.0, sleep=lambda seconds: None)
    found = members_of(asked, lambda s, r: skips.append((s, r.rule)), Budget(), web)  # type: ignore[attr-defined]
    return list(found), skips


def test_a_redirect_to_another_host_is_refused() -> None:
    def answer(path: str, before: int) -> Answer:
        port = lab.url.rpartition(":")[2]
        return Answer(b"", 302, {"Location": f"http://localhost:{port}/elsewhere"})

    with serving(answer) as lab:
        with pytest.raises(UnreachableError, match="redirects to another host"):
            fetch(f"{lab.url}?elements=Na")
        assert len(lab.asked) == 1


def test_pages_are_followed_through_passing_trouble() -> None:
    def answer(path: str, before: int) -> Answer:
        if "offset=1" in path:
            return Answer(b"", 502) if before < 2 else page([entry("b")], {"href": "/v1/structures?offset=2"})
        return page([entry("c")]) if "offset=2" in path else page([entry("a")], "/v1/structures?offset=1")

    with serving(answer) as lab:
        found, skips = fetch(lab.url)
    assert [m.name for m in found] == ["a", "b", "c"]
    assert skips == []


def test_what_came_before_a_lost_page_stays_and_the_loss_is_recorded() -> None:
    def answer(path: str, before: int) -> Answer:
        return Answer(b"", 500) if "offset" in path else page([entry("a")], "/v1/structures?offset=1")

    with serving(answer) as lab:
        found, skips = fetch(lab.url)
        assert [m.name for m in found] == ["a"]
        assert [rule for _, rule in skips] == ["unreachable"]
    with serving(lambda p, n: Answer(b"", 500)) as lab, pytest.raises(UnreachableError, match="status 500"):
        fetch(lab.url)


def test_pages_in_a_circle_end() -> None:
    with serving(lambda p, n: page([entry("a")], "/v1/structures?offset=1")) as lab:
        found, skips = fetch(lab.url)
    assert len(found) == 2
    assert [rule for _, rule in skips] == ["damaged"]


def test_pages_without_end_and_pages_of_others_are_not_followed() -> None:
    with serving(lambda p, n: page([], f"/v1/structures?offset={p.rpartition('=')[2]}1")) as lab:
        found, skips = fetch(lab.url)
    assert (found, [rule for _, rule in skips]) == ([], ["damaged"])
    asked: list[str] = []

    def elsewhere(path: str, before: int) -> Answer:
        asked.append(path)
        return page([entry("a")], lab.url.replace("127.0.0.1", "localhost") + "/v1/structures?offset=1")

    with serving(elsewhere) as lab:
        found, skips = fetch(lab.url)
    assert ([m.name for m in found], [rule for _, rule in skips]) == (["a"], ["damaged"])
    assert len(asked) == 1


@pytest.mark.parametrize("wrong", [7, "x", {"a": 1}, [7], [None], [[]], ["x"], [{"id": {}}]])
def test_answers_of_another_shape_are_named(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in (
        {"data": wrong},
        {"data": [entry("a")], "links": wrong},
        {"data": [entry("a")], "links": {"next": wrong}},
        {"data": [entry("a")], "errors": wrong},
        {"data": [{"id": "x", "attributes": wrong}]},
    ):
        with serving(lambda p, n, body=body: Answer(json.dumps(body).encode())) as lab:  # type: ignore[misc]
            try:
                found, skips = fetch(lab.url)
            except UnreachableError:  # a clear error is as good
                continue
            monkeypatch.setenv("ATOMSIGHT_OPTIMADE", f"{lab.url}/v1/links")
            with pytest.raises((InputError, UnreachableError)):
                fetch("lab")
        rules = [rule for _, rule in skips]
        for member in found:
            told: list[str] = []
            assert crystals_of(member, DEFAULT, lambda s, r, told=told: told.append(r)) or told  # type: ignore[misc]
        assert found or rules


def test_errors_of_a_provider_beside_its_data_are_kept_apart() -> None:
    with serving(lambda p, n: page([entry("a")], errors=[{"detail": "one shard is down"}])) as lab:
        found, skips = fetch(lab.url)
    assert len(found) == 1
    assert skips[0][1] == "unreachable"


def test_a_provider_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(path: str, before: int) -> Answer:
        url = lab.url
        if path == "/v1/links":
            return page(
                [{"id": "lab", "attributes": {"base_url": f"{url}/index"}}, {"id": "x", "attributes": {}}]
            )
        if path == "/index/v1/links":
            kinds = [("one", "child"), ("two", "child"), ("self", "root")]
            return page(
                [
                    {"id": n, "attributes": {"link_type": k, "base_url": {"href": f"{url}/{n}"}}}
                    for n, k in kinds
                ]
            )
        if path == "/index/v1/info":
            return Answer(b'{"data": {"relationships": {"default": {"data": {"id": "two"}}}}}')
        return page([entry(path.split("/")[1])])

    with serving(answer) as lab:
        monkeypatch.setenv("ATOMSIGHT_OPTIMADE", f"{lab.url}/v1/links")
        assert [m.name for m in fetch("lab?elements=Na")[0]] == ["two"]
        assert [m.source for m in fetch("lab/one")[0]] == ["optimade:lab/one/one"]
        for wrong in ("nowhere", "x", "lab/three"):
            with pytest.raises(InputError):
                fetch(wrong)


def rules(**attributes: Any) -> list[str]:
    found: list[str] = []
    member = Member("x", "optimade:x", json.dumps(entry("x", **attributes)).encode(), "optimade")
    assert crystals_of(member, DEFAULT, lambda s, r: found.append(r.rule)) == []  # type: ignore[attr-defined]
    return found


def test_structures_that_are_no_whole_crystal_are_turned_away() -> None:
    assert rules(dimension_types=[1, 1, 0]) == ["no_cell"]
    assert rules(lattice_vectors=[[5.64, 0, 0], [0, 5.64, 0], [None, None, None]]) == ["bad_cell"]
    assert rules(cartesian_site_positions=None) == ["no_sites"]
    assert rules(species_at_sites=["Na"] * 8, species=[]) == ["unknown_element"]
    assert rules(cartesian_site_positions=[[None] * 3] * 8) == ["missing_coordinates"]
    mixed = [
        {"name": "Na", "chemical_symbols": ["Na", "K"], "concentration": [0.5, 0.5]},
        {"name": "Cl", "chemical_symbols": ["Cl"], "concentration": [1.0]},
    ]
    assert rules(species=mixed) == ["mixed_occupancy"]
    assert rules(species=[{"name": "Na"}]) == ["syntax"]


def test_assemblies_become_disorder_of_which_the_major_part_is_kept() -> None:
    positions = [*entry("x")["attributes"]["cartesian_site_positions"], [0.3, 0.3, 0.3]]
    attributes = entry(
        "x",
        cartesian_site_positions=positions,
        species_at_sites=["Na"] * 4 + ["Cl"] * 4 + ["Na"],
        assemblies=[{"sites_in_groups": [[0], [8]], "group_probabilities": [0.7, 0.3]}],
    )
    member = Member("x", "optimade:x", json.dumps(attributes).encode(), "optimade")
    (crystal,) = crystals_of(member)
    assert crystal.formula == "ClNa"
    assert "disorder_resolved" in crystal.flags


def test_attached_hydrogens_are_noted_and_attached_groups_refused() -> None:
    water = {"name": "Cl", "chemical_symbols": ["O"], "concentration": [1.0], "attached": ["H"]}
    sodium = {"name": "Na", "chemical_symbols": ["Na"], "concentration": [1.0]}
    assert "missing_hydrogen" in parse(entry("x", species=[sodium, water])["attributes"]).flags
    with pytest.raises(SkipError, match="without a position"):
        parse(entry("x", species=[sodium, {**water, "attached": ["C"]}])["attributes"])


def test_filters() -> None:
    assert filter_of({}) == ""
    assert filter_of({"elements": "O,Ti", "nelements": "2"}) == 'elements HAS ALL "O","Ti" AND nelements=2'
    assert filter_of({"nelements": "2-4", "filter": "nsites<9"}) == (
        "nelements>=2 AND nelements<=4 AND (nsites<9)"
    )
    assert filter_of({"formula": "Ti2O4"}) == 'chemical_formula_reduced="O2Ti"'
    for wrong in ({"colour": "red"}, {"formula": "x y"}, {"nelements": "two"}):
        with pytest.raises(InputError):
            filter_of(wrong)
    assert versioned("https://x/optimade/") == "https://x/optimade/v1"
    assert versioned("https://x/v1/structures") == "https://x/v1"
