"""Takes the pictures of the page that the docs show: ``python benchmarks/serve_pictures.py``.

Needs the extra ``web``, Playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

import atomsight
from workshop.decoys import packed, scaled, shifted, strained, swapped

ROOT = Path(__file__).parents[1]
ARCHIVE = ROOT / "examples" / "crystals.tar.xz"
REAL = "mp-1203847"
CANDIDATES = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--candidates", type=Path, help="a folder of candidates; else decoys of an example")
    given = parser.parse_args()
    command = [sys.executable, "-m", "atomsight.cli.main", "serve", "--port", "0", "--no-browser", "--json"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as playwright,
    ):
        assert server.stdout is not None
        address = json.loads(server.stdout.readline())["address"]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(address)
        structure(page, given.out)
        with tempfile.TemporaryDirectory() as folder:
            candidates(page, given.out, given.candidates or decoys(Path(folder)))
        explore(page, given.out)
        browser.close()
        server.terminate()


def structure(page: Any, out: Path) -> None:
    page.get_by_label("Example").select_option("ibuprofen-wrong-element.cif")
    page.wait_for_selector("#site h3")
    page.wait_for_timeout(1000)
    save(page, out / "serve-structure.png", 1500)


def candidates(page: Any, out: Path, folder: Path) -> None:
    page.locator("#tab-candidates").click()
    page.locator("#candidates input[type=file]").first.set_input_files(sorted(folder.glob("*.cif")))
    page.get_by_text("survivors").wait_for(timeout=120_000)
    page.locator("#ranking tbody button").first.click()
    save(page, out / "serve-candidates.png", 950)


def explore(page: Any, out: Path) -> None:
    page.locator("#tab-explore").click()
    page.wait_for_selector(".confusion svg")
    page.get_by_role("button", name="Examples").click()
    page.wait_for_selector("#examples tbody tr")
    save(page, out / "serve-explore.png", 1600)


def save(page: Any, path: Path, height: int) -> None:
    """A picture of the top of the page, its colours reduced: a few ten thousand bytes."""
    page.set_viewport_size({"width": 1200, "height": height})
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)
    page.screenshot(path=path, scale="css")
    Image.open(path).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size:,} bytes")


def decoys(folder: Path) -> Path:
    """A crystal of the examples among decoys of its formula: swapped, shifted, strained, scaled, packed."""
    crystal = next(one for one in atomsight.read(ARCHIVE) if one.name == REAL)
    generator = np.random.default_rng(7)
    made = {"real": crystal}
    for i in range(CANDIDATES // 5):
        made[f"shifted-{i}"] = shifted(crystal, generator, generator.uniform(0.02, 0.4))
        made[f"strained-{i}"] = strained(crystal, generator, generator.uniform(0.02, 0.25))
        made[f"scaled-{i}"] = scaled(crystal, crystal.volume * generator.uniform(0.8, 1.4))
        made[f"packed-{i}"] = packed(crystal, generator, crystal.volume * generator.uniform(0.9, 1.3))
        made[f"swapped-{i}"] = swapped(crystal, generator) or crystal
    for name, one in made.items():
        (folder / f"{name}.cif").write_text(one.to_cif(), encoding="utf-8")
    return folder


if __name__ == "__main__":
    main()
