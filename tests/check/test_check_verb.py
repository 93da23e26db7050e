"""check from end to end: a real crystal with one element swapped, reference sites, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import atomsight
from atomsight.check.reference import MODEL
from atomsight.check.reference_sites import ReferenceSites
from atomsight.cli.main import app
from atomsight.core.crystal import Crystal
from atomsight.core.elements import NUMBERS
from atomsight.core.errors import ModelError
from atomsight.dataset import build, open_dataset
from atomsight.models.masked_site.inference import MaskedSiteModel

ROOT = Path(__file__).parents[2]
IBUPROFEN = ROOT / "examples" / "ibuprofen.cif"


@pytest.fixture(scope="module")
def model() -> MaskedSiteModel:
    loaded = atomsight.load_model(MODEL, threads=1)
    assert isinstance(loaded, MaskedSiteModel)
    return loaded


@pytest.fixture(scope="module")
def ibuprofen() -> Crystal:
    return next(atomsight.read(IBUPROFEN))


def swapped(crystal: Crystal, site: int, symbol: str) -> Crystal:
    numbers = crystal.numbers.copy()
    numbers[crystal.orbits == site] = NUMBERS[symbol]
    return replace(crystal, numbers=numbers)


def test_a_swapped_element_is_found(model: MaskedSiteModel, ibuprofen: Crystal) -> None:
    site = int(np.flatnonzero(ibuprofen.site_numbers == 6)[6])
    right, wrong = atomsight.check([ibuprofen, swapped(ibuprofen, site, "N")], model)
    assert not right.flagged
    assert right.score < 2
    found = wrong.flagged[0]
    assert (found.site, found.element, found.suggested) == (site, "N", "C")
    assert wrong.score == found.suspicion >= 2
    assert found.gain is not None
    assert found.gain > 0
    assert wrong.likelihood < right.likelihood
    assert any("the geometry alone means C" in words for words in found.evidence)


def test_an_element_that_the_model_does_not_know(model: MaskedSiteModel, ibuprofen: Crystal) -> None:
    (found,) = atomsight.check(swapped(ibuprofen, 0, "At"), model)
    site = found.sites[0]
    assert site.suspicion == 0
    assert not site.flagged
    assert site.probability == 0
    assert "does not know At" in site.evidence[0]
    nothing = replace(ibuprofen, numbers=np.full_like(ibuprofen.numbers, NUMBERS["At"]))
    with pytest.raises(ModelError, match="none of its elements"):
        list(atomsight.check(nothing, model))
    skipped: list[tuple[str, str]] = []
    assert not list(atomsight.check(nothing, model, on_skip=lambda *told: skipped.append(told)))
    assert len(skipped) == 1


def test_only_a_masked_site_model_checks(ibuprofen: Crystal) -> None:
    with pytest.raises(ModelError, match="masked-site"):
        list(atomsight.check(ibuprofen, "two-stage"))


def test_sure_sites_are_left_and_the_others_are_exact(model: MaskedSiteModel, ibuprofen: Crystal) -> None:
    exact = model.site_likelihoods(ibuprofen)
    quick = model.site_likelihoods(ibuprofen, sure=0.993)
    blind = model.probabilities(model.columns_of(ibuprofen))
    asked = model.own_probabilities(blind, ibuprofen.site_numbers) < 0.993
    np.testing.assert_allclose(quick[asked], exact[asked], atol=1e-5)
    np.testing.assert_allclose(quick[~asked], blind[~asked], atol=1e-6)


def test_reference_sites(tmp_path: Path, model: MaskedSiteModel, ibuprofen: Crystal) -> None:
    build([IBUPROFEN, ROOT / "tests" / "data"], tmp_path / "set", k=16)
    known = ReferenceSites(open_dataset(tmp_path / "set"))
    twin = replace(swapped(ibuprofen, 0, "S"), name="twin")
    (found,) = atomsight.check(twin, model, precedents=known, against=known)
    (sign,) = [s for s in found.findings if s.problem == "same_geometry"]
    assert sign.sites == (0,)
    assert ibuprofen.name in sign.text
    assert any(ibuprofen.name in words for words in found.flagged[0].evidence)
    for given in (open_dataset(tmp_path / "set"), tmp_path / "set", str(tmp_path / "set")):
        (again,) = atomsight.check(twin, model, precedents=given, against=given)
        assert again.as_dict() == found.as_dict()
    (itself,) = atomsight.check(replace(ibuprofen, name="twin"), model, against=known)
    assert not [s for s in itself.findings if s.problem == "same_geometry"]


def test_the_verb(tmp_path: Path) -> None:
    broken = tmp_path / "broken.cif"
    broken.write_text("data_x\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(IBUPROFEN), str(broken), "--json", "--threads", "1"])
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in result.stdout.splitlines()]
    (record,) = [r for r in records if "crystal" in r]
    assert sum("skipped" in r for r in records) == 1
    assert {"crystal", "source", "formula", "score", "sites", "signs"} <= set(record)
    wanted = {"site", "label", "element", "probability", "suggested", "suspicion", "flagged", "evidence"}
    assert all(wanted <= set(site) for site in record["sites"])
    assert record["score"] == max(site["suspicion"] for site in record["sites"])
    shown = CliRunner().invoke(app, ["check", str(IBUPROFEN), "--all"])
    assert shown.exit_code == 0
    assert "the geometry alone means" in shown.stdout
    assert CliRunner().invoke(app, ["check", str(broken)]).exit_code == 1
