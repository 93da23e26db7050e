"""The COD is asked politely, believed only when whole, and asked once."""

from __future__ import annotations

import subprocess
from email.utils import formatdate
from pathlib import Path
from time import time

import pytest

import atomsight
from atomsight.core.errors import InputError, UnreachableError
from atomsight.io import Budget, Member
from atomsight.io.cod import SUMS, Cache, members_of, place, search_query
from atomsight.io.http import AGENT, HttpClient
from lab_server import Answer, Lab, serving

pytest.importorskip("urllib3")
CIF = (Path(__file__).parents[1] / "data" / "cod-2100840.cif").read_bytes()


def cif(number: str) -> bytes:
    return CIF.replace(b"2100840", number.encode())


def normal(path: str, before: int) -> Answer:
    number = path.rsplit("/", 1)[-1].removesuffix(".cif")
    return Answer(cif(number)) if number.isdigit() else Answer(b"no", 404)


def quick(slept: list[float] | None = None, **options: float) -> HttpClient:
    record = slept if slept is not None else []
    return HttpClient(pause=0.0, sleep=record.append, **options)  # type: ignore[arg-type]


def fetch(
    asked: str, lab: Lab, cache: Path, monkeypatch: pytest.MonkeyPatch, web: HttpClient | None = None
) -> tuple[list[Member], list[tuple[str, str]]]:
    monkeypatch.setenv("ATOMSIGHT_COD", lab.url)
    skips: list[tuple[str, str]] = []
    found = members_of(asked, lambda s, r: skips.append((s, r.rule)), Budget(), web or quick(), cache)  # type: ignore[attr-defined]
    return list(found), skips


def test_entries_are_fetched_once_and_kept_as_the_mirror_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(normal) as lab:
        found, skips = fetch("2016452,2100840,2016452", lab, tmp_path, monkeypatch)
        assert [(m.name, m.source) for m in found] == [
            ("2016452", "cod:2016452"), ("2100840", "cod:2100840"),
        ]  # fmt: skip
        assert skips == []
        assert lab.asked == ["/2016452.cif", "/2100840.cif"]
        assert set(lab.agents) == {AGENT}
        again, _ = fetch("2016452", lab, tmp_path, monkeypatch)
        assert again == found[:1]
        assert len(lab.asked) == 2
    assert (tmp_path / "2/01/64/2016452.cif").read_bytes() == found[0].data
    check = subprocess.run(["sha256sum", "-c", SUMS], cwd=tmp_path / "2/01/64", check=False)
    assert check.returncode == 0


def test_a_cached_file_that_has_changed_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(normal) as lab:
        whole, _ = fetch("2016452", lab, tmp_path, monkeypatch)
        kept = tmp_path / place("2016452")
        kept.write_bytes(kept.read_bytes()[:500])
        again, skips = fetch("2016452", lab, tmp_path, monkeypatch)
        assert again == whole
        assert skips == []
        assert len(lab.asked) == 2
        assert Cache(tmp_path).get("2016452") == whole[0].data


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(CIF, cut=900),
        Answer(hang_up=True),
        Answer(b"busy", 503),
        Answer(b"busy", 429),
        Answer(CIF, delay=0.5),
    ],
    ids=["cut", "hung up", "503", "429", "slow"],
)
def test_passing_trouble_is_waited_out(
    trouble: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    with serving(lambda path, before: trouble if before < 2 else normal(path, before)) as lab:
        found, skips = fetch("2100840", lab, tmp_path, monkeypatch, quick(slept, timeout=0.3))
        assert [m.data for m in found] == [CIF]
        assert skips == []
        assert len(lab.asked) == 3
    assert slept == [2.0, 4.0]


def test_retry_after_is_obeyed_in_seconds_and_as_a_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = [{"Retry-After": "7"}, {"Retry-After": formatdate(time() + 50, usegmt=True)}]

    def answer(path: str, before: int) -> Answer:
        return Answer(b"", 429, headers[before]) if before < 2 else normal(path, before)

    slept: list[float] = []
    with serving(answer) as lab:
        found, _ = fetch("2100840", lab, tmp_path, monkeypatch, quick(slept))
    assert len(found) == 1
    assert slept[0] == 7
    assert 45 < slept[1] <= 50


@pytest.mark.parametrize(
    "location", ["http://localhost:1/x.cif", "//example.org/x", "file:///etc/passwd", "http://["]
)
def test_a_redirect_to_another_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    with serving(lambda p, n: Answer(b"", 302, {"Location": location})) as lab:
        found, skips = fetch("2100840", lab, tmp_path, monkeypatch)
        assert lab.asked == ["/2100840.cif"]
    assert (found, skips) == ([], [("cod:2100840", "unreachable")])


def test_redirects_are_followed_on_the_same_host_and_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(path: str, before: int) -> Answer:
        if path == "/2016452.cif":
            return Answer(b"", 302, {"Location": path})
        return normal(path, before) if "moved" in path else Answer(b"", 301, {"Location": f"/moved{path}"})

    slept: list[float] = []
    with serving(answer) as lab:
        found, skips = fetch("2100840,2016452", lab, tmp_path, monkeypatch, quick(slept))
        assert lab.asked.count("/2016452.cif") == 6
    assert [m.name for m in found] == ["2100840"]
    assert skips == [("cod:2016452", "unreachable")]
    assert slept == []


@pytest.mark.parametrize(
    "stated",
    ["99999", "9" * 6000, formatdate(time() + 5000, usegmt=True)],
    ids=["seconds", "digits", "date"],
)
def test_a_server_that_asks_for_a_long_wait_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: str
) -> None:
    with serving(lambda p, n: Answer(b"", 503, {"Retry-After": stated})) as lab:
        _, skips = fetch("2100840", lab, tmp_path, monkeypatch)
        assert len(lab.asked) == (5 if len(stated) > 5000 else 1)
    assert skips == [("cod:2100840", "unreachable")]


def test_one_lost_entry_is_a_record_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(path: str, before: int) -> Answer:
        return {
            "/1000001.cif": Answer(b"gone", 404),
            "/1000002.cif": Answer(b"<html>maintenance</html>"),
            "/1000003.cif": Answer(b"", 403),
            "/1000004.cif": Answer(cif("1000005")),
        }.get(path) or normal(path, before)

    with serving(answer) as lab:
        asked = "1000001,1000002,2100840,1000003,1000004,2016452"
        found, skips = fetch(asked, lab, tmp_path, monkeypatch)
        assert lab.asked.count("/1000003.cif") == 1
    assert [m.name for m in found] == ["2100840", "2016452"]
    assert skips == [
        ("cod:1000001", "not_found"), ("cod:1000002", "unreachable"),
        ("cod:1000003", "unreachable"), ("cod:1000004", "unreachable"),
    ]  # fmt: skip
    assert not (tmp_path / place("1000002")).exists()


def test_a_server_that_is_gone_stops_the_run_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = ",".join(str(2000000 + i) for i in range(20))
    with serving(lambda p, n: normal(p, n) if p < "/2000008" else Answer(b"", 500)) as lab:
        with pytest.raises(UnreachableError, match="5 entries in a row"):
            fetch(numbers, lab, tmp_path, monkeypatch)
        assert len(lab.asked) == 8 + 5 * 5
    with serving(normal) as lab:
        found, skips = fetch(numbers, lab, tmp_path, monkeypatch)
        assert len(lab.asked) == 12
    assert len(found) == 20
    assert skips == []


def test_an_answer_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOMSIGHT_COD", "")
    with serving(lambda p, n: Answer(b"data_x\n" * 100_000)) as lab:
        monkeypatch.setenv("ATOMSIGHT_COD", lab.url)
        skips: list[str] = []
        budget = Budget(max_bytes=10_000)
        members = members_of("2100840", lambda s, r: skips.append(r.rule), budget, quick(), tmp_path)  # type: ignore[attr-defined]
        assert list(members) == []
    assert skips == ["too_large"]


def test_a_pause_lies_between_two_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    web = HttpClient(pause=3.0, sleep=slept.append, clock=lambda: 100.0)
    with serving(normal) as lab:
        fetch("2100840,2016452,1000000", lab, tmp_path, monkeypatch, web)
    assert slept == [3.0, 3.0]


def test_lists_and_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.txt").write_text("# mine\n2100840\nhttp://x/cod/2016452.cif  first\n\n2100840\n")

    def answer(path: str, before: int) -> Answer:
        if path.startswith("/result?"):
            return Answer(b"2016452\n2100840\n" if "=Cu" in path else b"")
        return normal(path, before)

    with serving(answer) as lab:
        found, _ = fetch(str(tmp_path / "list.txt"), lab, tmp_path / "c", monkeypatch)
        assert [m.name for m in found] == ["2100840", "2016452"]
        found, _ = fetch("?elements=Cu,O&nelements=2-4", lab, tmp_path / "c", monkeypatch)
        assert [m.name for m in found] == ["2016452", "2100840"]
        assert lab.asked[-1] == "/result?el1=O&el2=Cu&strictmin=2&strictmax=4&format=lst"
        _, skips = fetch("?elements=Xe", lab, tmp_path / "c", monkeypatch)
        assert skips == [("cod:?elements=Xe", "no_cif")]


def test_a_search_is_put_in_the_words_of_the_cod() -> None:
    assert search_query({"formula": "O4C9H8"}) == {"formula": "C9 H8 O4", "format": "lst"}
    assert search_query({"without": "C,H", "text": "quartz"}) == {
        "nel1": "H", "nel2": "C", "text": "quartz", "format": "lst",
    }  # fmt: skip
    for wrong in ({}, {"colour": "red"}, {"formula": "water"}, {"nelements": "few"}, {"elements": "Qq"}):
        with pytest.raises(InputError):
            search_query(wrong)


def test_a_mirror_is_read_without_any_server(tmp_path: Path) -> None:
    file = tmp_path / place("2100840")
    file.parent.mkdir(parents=True)
    file.write_bytes(CIF)
    crystals = list(atomsight.read(f"cod:{tmp_path}"))
    assert [(c.name, c.source) for c in crystals] == [("2100840", "cod:2100840")]


@pytest.mark.parametrize("asked", ["", "12", "nowhere.txt", "2016452,abc", "201645²", "٢٠١٦٤٥٢", "2" * 5000])
def test_what_names_nothing_is_refused(asked: str) -> None:
    with pytest.raises(InputError, match="cod:"):
        list(members_of(asked, lambda s, r: None, Budget()))


def test_where_nobody_listens_is_not_asked_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    with serving(normal) as lab:
        pass
    _, skips = fetch("2100840", lab, tmp_path, monkeypatch, quick(slept))
    assert skips == [("cod:2100840", "unreachable")]
    assert slept == [2.0]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    with serving(normal) as lab, pytest.raises(InputError, match="ATOMSIGHT_CACHE"):
        fetch("2100840", lab, tmp_path / "file", monkeypatch)
