"""Rankings by the API: the order of the command line, tables, survivors."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

import atomsight
from atomsight.web.ranking import density

ARCHIVE = Path(__file__).parents[2] / "examples" / "crystals.tar.xz"


@pytest.fixture(scope="module")
def candidates() -> dict[str, bytes]:
    """Some inorganic crystals, and one that is squeezed to nonsense."""
    with tarfile.open(ARCHIVE) as archive:
        names = [n for n in archive.getnames() if "/materials-project/" in n][:6]
        files = {Path(n).name: archive.extractfile(n).read() for n in names}  # type: ignore[union-attr]
    bad = (
        b"data_bad\n_cell_length_a 3.1\n_cell_length_b 3.1\n_cell_length_c 3.1\n_cell_angle_alpha 90\n"
        b"_cell_angle_beta 90\n_cell_angle_gamma 90\nloop_\n_atom_site_label\n_atom_site_type_symbol\n"
        b"_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        b"Cs1 Cs 0 0 0\nCs2 Cs .5 .5 0\nI1 I .5 0 .5\n"
    )
    return {**files, "bad.cif": bad}


@pytest.fixture(scope="module")
def job(finish: Any, candidates: dict[str, bytes]) -> str:
    status = finish("/api/rankings", candidates)
    assert (status["state"], status["handled"]) == ("done", 7)
    found: str = status["job"]
    return found


def test_the_order_is_that_of_the_command_line(
    client: Any, job: str, candidates: dict[str, bytes], tmp_path: Path
) -> None:
    for name, data in candidates.items():
        (tmp_path / name).write_bytes(data)
    expected = [one.as_dict() for one in atomsight.rank(atomsight.read(tmp_path), explain=True)]
    found = client.get(f"/api/rankings/{job}").json()
    assert found["total"] == 7
    keys = ("rank", "crystal", "formula", "verdict", "kind")
    assert [[one[k] for k in keys] for one in found["candidates"]] == [[e[k] for k in keys] for e in expected]
    assert [one["score"] for one in found["candidates"]] == pytest.approx(
        [e["score"] for e in expected], abs=1e-3
    )
    assert len(client.get(f"/api/rankings/{job}?limit=2").json()["candidates"]) == 2


def test_how_far_a_ranking_has_come_is_told(client: Any, finish: Any, job: str) -> None:
    status = client.get(f"/api/jobs/{job}").json()
    assert (status["files"], status["read"]) == (7, 7)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in ("a.cif", "b.cif", "c.txt"):
            archive.writestr(name, "nothing")
    status = finish("/api/checks", {"all.zip": held.getvalue()})
    assert (status["files"], status["read"], status["skipped"]) == (2, 2, 2)


def test_survivors_and_table_are_downloaded(client: Any, job: str, candidates: dict[str, bytes]) -> None:
    rows = list(csv.DictReader(io.StringIO(client.get(f"/api/rankings/{job}/table.csv").text)))
    assert {row["source"] for row in rows} == set(candidates)
    kept = {row["source"] for row in rows if row["verdict"] == "keep"}
    assert "bad.cif" not in kept
    answer = client.get(f"/api/rankings/{job}/survivors.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {n: candidates[n] for n in kept}
    assert client.get(f"/api/rankings/{job}/table.jsonl").text.count("\n") == 7
    assert client.get(f"/api/rankings/{job}/table.exe").status_code == 422


def test_a_candidate_is_checked(client: Any, finish: Any, job: str) -> None:
    source = client.get(f"/api/rankings/{job}").json()["candidates"][0]["source"]
    status = finish("/api/checks", ranking=job, source=source)
    assert (status["state"], status["handled"]) == ("done", 1)
    assert client.get(f"/api/checks/{status['job']}/0").json()["source"] == source
    assert client.delete(f"/api/jobs/{status['job']}").status_code == 204
    assert client.get(f"/api/rankings/{job}/survivors.zip").status_code == 200


def test_folders_tell_files_of_one_name_apart(client: Any, finish: Any) -> None:
    poscar = b"salt\n1.0\n5.64 0 0\n0 5.64 0\n0 0 5.64\nNa Cl\n4 4\nDirect\n0 0 0\n.5 .5 0\n.5 0 .5\n"
    poscar += b"0 .5 .5\n.5 .5 .5\n0 0 .5\n0 .5 0\n.5 0 0\n"
    status = finish("/api/rankings", {"all/run1/POSCAR": poscar, "all/run2/POSCAR": poscar})
    found = client.get(f"/api/rankings/{status['job']}").json()["candidates"]
    assert [one["source"] for one in found] == ["run1/POSCAR", "run2/POSCAR"]
    assert [one["crystal"] for one in found] == ["run1", "run2"]
    answer = client.get(f"/api/rankings/{status['job']}/survivors.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert len(set(archive.namelist())) == len(archive.namelist())


def test_the_density_of_rock_salt() -> None:
    halite = next(atomsight.read(Path(__file__).parents[1] / "data" / "halite.cif"))
    assert density(halite) == pytest.approx(2.17, abs=0.03)
