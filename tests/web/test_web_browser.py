"""The page in a browser: every view is used as a user would."""

from __future__ import annotations

import io
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

pytest.importorskip("fastapi")
from atomsight.io import Member
from atomsight.web import ranking
from atomsight.web.jobs import Job
from atomsight.web.ranking import Ranking
from atomsight.web.uploads import EXAMPLES
from chromium import launch, needs_browser

api = pytest.importorskip("playwright.sync_api")
pytestmark = needs_browser

ARCHIVE = Path(__file__).parents[2] / "examples" / "crystals.tar.xz"
SCRIPT = "<img src=x onerror=window.broken=1></script><script>window.broken=1</script>"
CELL = "".join(f"_cell_length_{x} 6\n" for x in "abc") + "".join(
    f"_cell_angle_{x} 90\n" for x in ("alpha", "beta", "gamma")
)
HOSTILE = (
    f"data_{SCRIPT.split()[0]}\n{CELL}loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n"
    f"_atom_site_fract_y\n_atom_site_fract_z\n'C1{SCRIPT}' C 0 0 0\nO1 O .2 0 0\n"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        launched = launch(playwright, "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1000, "height": 760}, reduced_motion="reduce")
    messages: list[str] = []
    asked: list[str] = []
    page.on("console", lambda m: messages.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("#structure .drop")
    yield page
    page.wait_for_timeout(50)
    assert page.evaluate("window.broken") is None
    assert [m for m in messages if "GPU stall" not in m and "WebGL" not in m and "swiftshader" not in m] == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    page.close()


def test_a_wrong_element_is_found_and_mended(page: Any) -> None:
    page.get_by_label("Example").select_option("ibuprofen-wrong-element.cif")
    page.wait_for_selector("#site h3")
    assert page.locator("#site h3").inner_text().startswith("C7a: O")
    assert page.locator("#sites tbody tr[aria-current]").inner_text().startswith("C7a")
    assert "Most similar sites among 14,601 sites" in page.locator("#precedents").inner_text()

    page.wait_for_timeout(300)
    picture = matplotlib.image.imread(io.BytesIO(page.locator(".viewer").screenshot()))
    assert len({tuple(pixel) for pixel in picture.reshape(-1, picture.shape[-1]).round(1).tolist()}) > 20
    spread = picture[..., :3].std(axis=(0, 1)).max()
    assert spread > 0.03, "the 3D view is blank"

    page.locator("#sites tbody button", has_text="O1a").click()
    api.expect(page.locator("#site h3")).to_contain_text("O1a: ")
    page.locator("#sites tbody button", has_text="C7a").click()
    api.expect(page.locator("#site h3")).to_contain_text("C7a: ")
    page.locator("#try").click()
    page.wait_for_selector("#result")
    assert "gains" in page.locator("#result").inner_text()
    assert "flagged now: none" in page.locator("#result").inner_text()
    with page.expect_download() as download:
        page.get_by_text("Download corrected CIF").click()
    assert download.value.suggested_filename == "2300214-corrected.cif"
    assert "\nC C7a " in Path(download.value.path()).read_text()


def test_files_are_dropped_and_entries_of_the_cod_fetched(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (EXAMPLES / "ibuprofen.cif").read_text()
    dropped = page.evaluate_handle(
        "text => { const d = new DataTransfer(); d.items.add(new File([text], 'dropped.cif')); return d; }",
        text,
    )
    page.dispatch_event("#structure .drop", "drop", {"dataTransfer": dropped})
    api.expect(page.locator("#structure .source").first).to_contain_text("dropped.cif")
    page.wait_for_selector("#site h3")  # else what is still asked of the first file is gone with it: a 404
    monkeypatch.setattr(
        "atomsight.web.api.members_of", lambda number, *_: [Member(number, f"cod:{number}", text.encode())]
    )
    page.get_by_label("COD number").fill("2300214")
    page.get_by_label("COD number").press("Enter")
    api.expect(page.locator("#structure .source").first).to_contain_text("2300214.cif")


def test_atoms_in_the_3d_view_choose_sites(page: Any) -> None:
    page.get_by_label("Example").select_option("ibuprofen-wrong-element.cif")
    page.wait_for_selector("#site h3")
    page.wait_for_timeout(300)
    page.locator(".viewer").scroll_into_view_if_needed()
    box = page.locator(".viewer").bounding_box()
    row = page.locator("#sites tbody tr[aria-current]")
    before = row.inner_text()
    for i in range(1, 12):
        for j in range(1, 12):
            page.mouse.click(box["x"] + box["width"] * i / 12, box["y"] + box["height"] * j / 12)
            page.wait_for_timeout(20)
            if row.inner_text() != before:
                label = row.inner_text().split()[0]
                api.expect(page.locator("#site h3")).to_contain_text(f"{label}: ")
                return
    raise AssertionError("no click met an atom")


def test_atoms_in_the_3d_view_tell_of_themselves(page: Any) -> None:
    page.get_by_label("Example").select_option("ibuprofen-wrong-element.cif")
    page.wait_for_selector("#site h3")
    page.wait_for_timeout(300)
    page.locator(".viewer").scroll_into_view_if_needed()
    box = page.locator(".viewer").bounding_box()
    told = page.locator(".under")
    before = told.inner_text()
    assert before.startswith("C7a: O (probability")
    assert "nearest: H 1.000, C 1.595" in before
    for i in range(1, 24):
        for j in range(1, 12):
            page.mouse.move(box["x"] + box["width"] * i / 24, box["y"] + box["height"] * j / 12)
            page.wait_for_timeout(80)
            if told.inner_text() != before:
                assert "nearest: " in told.inner_text()
                api.expect(page.locator("#site h3")).to_contain_text("C7a: ")
                return
    raise AssertionError("nothing was pointed at")


def test_the_keyboard_keeps_its_place(page: Any) -> None:
    page.get_by_label("Example").select_option("ibuprofen-wrong-element.cif")
    page.wait_for_selector("#site h3")
    focused = "document.activeElement.textContent"
    page.locator("#sites tbody button", has_text="O1a").focus()
    page.keyboard.press("Enter")
    api.expect(page.locator("#site h3")).to_contain_text("O1a: ")
    assert page.evaluate(focused) == "O1a"
    page.locator("#sites tbody button", has_text="C7a").press("Enter")
    api.expect(page.locator("#site h3")).to_contain_text("C7a: ")
    api.expect(page.locator(".bench [role=status]")).to_contain_text("C7a: O")
    page.get_by_label("Compare with the distances of").focus()
    page.keyboard.press("ArrowDown")
    api.expect(page.get_by_label("Compare with the distances of")).to_have_value("N")
    api.expect(page.locator("#site svg")).to_have_attribute(
        "aria-label", "Distances of the site next to those of O and of N"
    )
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    page.locator("#tab-structure").focus()
    page.keyboard.press("End")
    page.wait_for_selector("#histograms")
    page.get_by_label("Group by").select_option("ranks")
    page.get_by_label("Group by").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#histograms[aria-label*=single]")
    assert page.evaluate("document.activeElement.value") == "bonds"


def test_odd_files_are_told_and_do_no_harm(page: Any) -> None:
    place = page.locator("#structure input[type=file]").first
    place.set_input_files([{"name": "a.cif", "mimeType": "text/plain", "buffer": b"no crystal at all"}])
    page.wait_for_selector("#structure .skips summary")
    assert "1 skipped" in page.locator("#structure .skips summary").inner_text()
    place.set_input_files([{"name": "x<b>.cif", "mimeType": "text/plain", "buffer": HOSTILE.encode()}])
    page.wait_for_selector("#site h3")
    assert SCRIPT in page.locator("#sites tbody").inner_text()
    page.locator(".bench select").nth(2).select_option("all")
    page.locator(".bench select").nth(1).select_option("inside")
    page.locator(".bench select").nth(0).select_option("element")


def test_candidates_are_ranked_and_survivors_downloaded(page: Any, tmp_path: Path) -> None:
    with tarfile.open(ARCHIVE) as archive:
        names = [name for name in archive.getnames() if "/materials-project/" in name][:8]
        files = [
            {"name": Path(n).name, "mimeType": "text/plain", "buffer": archive.extractfile(n).read()}
            for n in names
        ]
    page.locator("#tab-structure").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#candidates .drop")
    page.locator("#candidates input[type=file]").first.set_input_files(files)
    page.get_by_text("Download", exact=False).first.wait_for()
    assert page.locator("#ranking tbody tr").count() == 8
    assert page.locator("#score-density .point").count() == 8
    page.locator("#score-density .point").nth(3).click(force=True)
    chosen = page.locator("#ranking tbody tr[aria-current]").inner_text().split()[0]
    assert page.locator("#candidates .panel h2").inner_text().startswith(chosen)
    page.get_by_text("Open in the view Structure").click()
    api.expect(page.locator("#structure h2")).to_contain_text(chosen)
    page.locator("#tab-candidates").click()
    with page.expect_download() as download:
        page.get_by_text("survivors").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert set(archive.namelist()) <= {file["name"] for file in files}


def test_an_example_of_candidates(page: Any) -> None:
    page.locator("#tab-candidates").click()
    page.locator("#candidates select", has_text="choose").select_option("CsZnSb-candidates.zip")
    page.get_by_text("Download", exact=False).first.wait_for()
    api.expect(page.locator("#ranking tbody tr").first).to_be_visible()
    api.expect(page.locator("#candidates [role=status]")).to_contain_text("23 candidates")


def test_a_job_is_cancelled_and_let_go_when_the_page_is_left(
    page: Any, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(job: Job, **unused: Any) -> None:
        job.result = Ranking()
        while True:
            job.advance()
            time.sleep(0.01)

    monkeypatch.setattr(ranking, "rank_job", endless)
    page.locator("#tab-candidates").click()
    with page.expect_response("**/api/rankings") as begun:
        page.locator("#candidates input[type=file]").first.set_input_files(
            [{"name": "a.cif", "mimeType": "text/plain", "buffer": b"data_a"}]
        )
    job = f"{address}api/jobs/{begun.value.json()['job']}"
    api.expect(page.locator("#candidates progress")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    api.expect(page.locator("#candidates [role=status]")).to_contain_text("cancelled")
    api.expect(page.locator("#candidates progress")).to_be_hidden()
    assert page.request.get(job).json()["state"] == "cancelled"
    page.reload()
    page.wait_for_selector("#candidates .drop")
    for _ in range(50):
        if page.request.get(job).status == 404:
            return
        page.wait_for_timeout(50)
    raise AssertionError("the job is still held")


def test_a_trial_of_an_element_is_cancelled(page: Any, large_cell: bytes) -> None:
    page.locator("#structure input[type=file]").first.set_input_files(
        [{"name": "large.cif", "mimeType": "text/plain", "buffer": large_cell}]
    )
    page.wait_for_selector("#site h3", timeout=150_000)
    page.locator("#try").click()
    page.locator("#trying progress[value]").wait_for()
    page.locator("#stop").click()
    api.expect(page.locator("#trying")).to_have_count(0)
    assert page.locator("#result").count() == 0
    assert "changed" not in page.locator("#sites").inner_text()
    api.expect(page.locator("#try")).to_be_enabled()


def test_files_that_are_being_sent_are_cancelled(page: Any) -> None:
    held: list[Any] = []
    page.route("**/api/uploads*", lambda route: held.append(route))
    page.locator("#structure input[type=file]").first.set_input_files(
        [{"name": "a.cif", "mimeType": "text/plain", "buffer": b"data_a"}]
    )
    page.get_by_role("button", name="Cancel").click()
    api.expect(page.locator("#structure .status [role=status]")).to_have_text("cancelled")


def test_what_is_usual_is_explored_in_a_narrow_dark_window(page: Any) -> None:
    page.set_viewport_size({"width": 420, "height": 800})
    page.emulate_media(color_scheme="dark")
    page.locator("#tab-explore").click()
    page.wait_for_selector("#histograms")
    page.get_by_label("Group by").select_option("bonds")
    assert "single" in page.locator("#histograms").get_attribute("aria-label")
    page.wait_for_selector(".confusion svg")
    page.get_by_role("button", name="Examples").click()
    page.wait_for_selector("#examples tbody tr")
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
