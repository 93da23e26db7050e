"""Checks by the API: what the command line tells, sites opened, elements tried, files corrected."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import atomsight
from atomsight.dataset import build, open_dataset
from atomsight.io import Member
from atomsight.web import api
from atomsight.web.app import create_app
from atomsight.web.corrected import corrected_cif, with_elements
from atomsight.web.precedents import precedents_table
from atomsight.web.scene import scene
from atomsight.web.uploads import EXAMPLES

IBUPROFEN = EXAMPLES / "ibuprofen.cif"
WRONG = EXAMPLES / "ibuprofen-wrong-element.cif"
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def wrong(client: Any, finish: Any) -> str:
    """The path of a crystal with a wrong element, checked."""
    status = finish("/api/checks", example=WRONG.name)
    assert (status["state"], status["handled"], status["marked"]) == ("done", 1, 1)
    return f"/api/checks/{status['job']}/0"


def test_the_api_tells_what_the_command_line_tells(client: Any, wrong: str) -> None:
    expected = next(atomsight.check(atomsight.read(WRONG))).as_dict()
    found = client.get(wrong).json()
    assert {key: found[key] for key in expected} == {**expected, "source": WRONG.name}
    worst = max(found["sites"], key=lambda site: site["suspicion"])
    assert (worst["label"], worst["element"], worst["suggested"], worst["flagged"]) == ("C7a", "O", "C", True)


def test_a_site_is_opened(client: Any, wrong: str) -> None:
    found = client.get(f"{wrong}/sites/6").json()
    pointed = client.get(wrong).json()
    assert pointed["near_distances"][6] == pytest.approx(found["distances"][:6], abs=1e-3)
    assert pointed["near_sites"][6] == found["neighbours"][:6]
    assert (found["element"], found["beside"]) == ("O", "C")
    assert found["distances"] == sorted(found["distances"])
    assert max(found["given"], key=found["given"].get) == "C"
    assert {len(found["profiles"][symbol]) for symbol in "OC"} == {16}
    assert found["labels"][0].startswith("H")
    nearest = found["precedents"]
    assert len({one["crystal"] for one in nearest}) == 5
    assert [one["apart"] for one in nearest] == sorted(one["apart"] for one in nearest)
    assert nearest[0]["element"] == "C"
    assert "training data" in found["precedents_of"]
    assert client.get(f"{wrong}/sites/6?beside=N").json()["beside"] == "N"
    for address in ("sites/999", "sites/6?beside=Qq"):
        assert client.get(f"{wrong}/{address}").status_code == 422


def test_the_right_element_mends_the_crystal(client: Any, wrong: str, finish: Any) -> None:
    status = finish(f"{wrong}/try", changes={"6": "C"})
    assert status["kind"] == "try"
    assert status["state"] == "done"
    assert status["handled"] == 1
    found = client.get(f"/api/tries/{status['job']}").json()
    assert found["gain"] > 5
    assert found["score"] < 2 < found["score_before"]
    assert client.post(f"{wrong}/try", json={"changes": {"6": "Xx"}}).status_code == 422
    assert client.post(f"{wrong}/try", json={"changes": {"77": "C"}}).status_code == 422


def test_work_on_one_large_crystal_is_watched_and_cancelled_midway(
    client: Any, finish: Any, large_cell: bytes
) -> None:
    sent = client.post("/api/uploads", files={"files": ("large.cif", large_cell)}).json()["upload"]

    def midway(answer: Any) -> str:
        assert answer.status_code == 202, answer.text
        job = f"/api/jobs/{answer.json()['job']}"
        wait_until(lambda: 0 < client.get(job).json()["part"] < 1)
        return job

    def ends(job: str) -> None:
        assert client.post(f"{job}/cancel").status_code == 200
        wait_until(lambda: client.get(job).json()["state"] == "cancelled", seconds=2)

    job = midway(client.post("/api/checks", json={"upload": sent}))
    ends(job)
    assert client.get(f"/api/checks/{job.split('/')[-1]}").json()["crystals"] == []

    crystal = f"/api/checks/{finish('/api/checks', upload=sent)['job']}/0"
    first = midway(client.post(f"{crystal}/try", json={"changes": {"0": "K"}}))
    assert client.get(first.replace("jobs", "tries")).status_code == 409
    second = midway(client.post(f"{crystal}/try", json={"changes": {"0": "F"}}))
    assert client.get(first).json()["state"] == "cancelled"
    ends(second)
    assert client.get(second.replace("jobs", "tries")).status_code == 409
    assert client.delete(crystal.replace("checks", "jobs")[:-2]).status_code == 204
    assert client.get(second).status_code == 404


def test_the_last_trials_are_kept(client: Any, wrong: str, finish: Any) -> None:
    jobs = [finish(f"{wrong}/try", changes={"6": "C"})["job"] for _ in range(api.MOST_TRIED + 2)]
    held = [client.get(f"/api/tries/{job}").status_code for job in jobs]
    assert held == [404] * 2 + [200] * api.MOST_TRIED


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_corrected_file_reads_back(client: Any, wrong: str, tmp_path: Path) -> None:
    answer = client.get(f"{wrong}/cif", params={"change": ["6:C"]})
    assert "2300214-corrected.cif" in answer.headers["content-disposition"]
    (tmp_path / "c.cif").write_bytes(answer.content)
    again, true = next(atomsight.read(tmp_path / "c.cif")), next(atomsight.read(IBUPROFEN))
    assert np.array_equal(again.numbers, true.numbers)
    assert "Stone, Kevin H." in answer.text
    assert client.get(f"{wrong}/cif?change=6-C").status_code == 422


@pytest.mark.parametrize("name", ["cod-2100840.cif", "halite.cif", "PIYZAZ_freeONLY.cif"])
def test_corrected_files_of_other_crystals(name: str, tmp_path: Path) -> None:
    crystal = next(atomsight.read(DATA / name))
    text = corrected_cif(crystal, {0: "Se"}, DATA / name)
    (tmp_path / name).write_text(text)
    again = next(atomsight.read(tmp_path / name))
    assert again.counts == with_elements(crystal, {0: "Se"}).counts
    assert np.isclose(again.volume, crystal.volume, rtol=1e-4)


def test_formats_without_type_symbols_become_plain_cifs(tmp_path: Path) -> None:
    poscar = "salt\n1.0\n5.64 0 0\n0 5.64 0\n0 0 5.64\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
    (tmp_path / "salt.vasp").write_text(poscar)
    crystal = next(atomsight.read(tmp_path / "salt.vasp"))
    (tmp_path / "out.cif").write_text(corrected_cif(crystal, {1: "Br"}, tmp_path / "salt.vasp"))
    assert next(atomsight.read(tmp_path / "out.cif")).counts == {"Na": 1, "Br": 1}


def test_molecules_are_drawn_in_one_piece() -> None:
    crystal = next(atomsight.read(IBUPROFEN))
    drawn = scene(crystal)
    whole, inside = np.array(drawn["whole"]), np.array(drawn["inside"])
    apart = {
        name: [np.linalg.norm(p[i] - p[j]) for i, j, _ in drawn["bonds"]]
        for name, p in (("whole", whole), ("inside", inside))
    }
    lengths = np.array([length for *_, length in drawn["bonds"]])
    assert np.allclose(apart["whole"], lengths, atol=0.01)
    assert not np.allclose(apart["inside"], lengths, atol=0.01)
    assert sum(drawn["unique"]) == crystal.n_sites
    moved = (whole - inside) @ np.linalg.inv(crystal.lattice)
    assert np.allclose(moved, moved.round(), atol=1e-3)


def test_unique_atoms_hang_together() -> None:
    crystal = next(atomsight.read(IBUPROFEN))
    drawn = scene(crystal)
    chosen = np.flatnonzero(drawn["unique"])
    assert sorted(np.array(drawn["sites"])[chosen].tolist()) == list(range(crystal.n_sites))
    bonded = {int(chosen[0])}
    for _ in chosen:
        bonded |= {
            int(b) for i, j, _ in drawn["bonds"] for a, b in ((i, j), (j, i)) if a in bonded and b in chosen
        }
    assert bonded == set(chosen.tolist())


def test_frameworks_stay_in_their_cell() -> None:
    drawn = scene(next(atomsight.read(DATA / "halite.cif")))
    assert drawn["whole"] == drawn["inside"]


def test_skipped_files_are_told_without_the_folder(client: Any, finish: Any) -> None:
    status = finish("/api/checks", {"a.cif": b"nothing", "b.cif": IBUPROFEN.read_bytes()})
    assert (status["handled"], status["skipped"]) == (1, 1)
    found = client.get(f"/api/checks/{status['job']}").json()
    assert found["skipped"][0]["source"] == "a.cif"
    assert found["crystals"][0]["source"] == "b.cif"
    assert client.get(f"/api/checks/{status['job']}?first=1").json()["crystals"] == []


def test_an_entry_of_the_cod_is_fetched(client: Any, finish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def mirror(number: str, *unused: Any) -> list[Member]:
        return [Member(number, f"cod:{number}", IBUPROFEN.read_bytes())]

    monkeypatch.setattr(api, "members_of", mirror)
    status = finish("/api/checks", cod="2300214")
    assert (status["state"], status["handled"]) == ("done", 1)
    assert client.get(f"/api/checks/{status['job']}/0").json()["source"] == "2300214.cif"


def test_shipped_precedents_are_drawn_from_every_element(tmp_path: Path) -> None:
    crystals = [next(atomsight.read(path)) for path in (IBUPROFEN, DATA / "halite.cif")]
    build(crystals, tmp_path / "set", k=8)
    table = precedents_table(open_dataset(tmp_path / "set"))
    assert table == precedents_table(open_dataset(tmp_path / "set"))
    drawn = Counter(table["elements"])
    assert drawn == {"Na": 1, "Cl": 1, "O": 2, "C": 11, "H": 13}
    assert {len(near) for near in table["distances"]} == {8}


def test_a_dataset_names_precedents_and_its_own_distances(tmp_path: Path) -> None:
    crystals = [next(atomsight.read(path)) for path in (IBUPROFEN, DATA / "halite.cif")]
    build(crystals, tmp_path / "set", k=8)
    with TestClient(create_app(dataset=tmp_path / "set", threads=1), base_url="http://localhost") as client:
        job = client.post("/api/checks", json={"example": WRONG.name}).json()["job"]
        client.get(f"/api/jobs/{job}/events")
        site = client.get(f"/api/checks/{job}/0/sites/6").json()
        assert site["precedents_of"] == "35 sites of set"
        assert [one["crystal"] for one in site["precedents"]] == ["9008678"]
        assert len(site["profiles"]["C"]) == 8
        found = client.get("/api/explore/distances/Na").json()
        assert found["source"] == "2 crystals, set"
        assert [one["neighbour"] for one in found["histograms"] if one["n"] == 1] == ["Cl"]


def test_what_is_usual(client: Any) -> None:
    found = client.get("/api/explore/distances/C").json()
    nearest = {one["neighbour"]: one for one in found["histograms"] if one["n"] == 1}
    hydrogen = nearest["H"]
    peak = found["low"] + found["step"] * (hydrogen["first"] + np.argmax(hydrogen["counts"]) + 0.5)
    assert 0.9 < peak < 1.15
    assert {one["type"] for one in found["bonds"] if one["neighbour"] == "C"} >= {"single", "aromatic"}
    matrix = client.get("/api/explore/confusion").json()
    assert sum(count for *_, count in matrix["cells"]) == matrix["sites"] == sum(matrix["sites_of"])
    cell = client.get("/api/explore/confusion/C/N").json()
    assert cell["examples"]
    assert len(cell["examples"][0]["distances"]) == 16
    assert client.get("/api/explore/confusion/C/Zz").status_code == 422
    assert client.get("/api/explore/distances/Zz").status_code == 422
