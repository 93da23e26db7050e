"""What training does to crystals, against slow and obvious ways to do it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.dataset import Dataset
from atomsight.training.data import SiteBatch, SiteStream
from atomsight.training.masked_site import augment as module
from atomsight.training.masked_site.augment import augment, nearest_left, rows_of_neighbours
from atomsight.training.masked_site.training import MaskedSite
from atomsight.training.settings import Settings

COLUMNS = ("distances", "directions", "neighbours", "site", "element")


def batch_of(dataset: Dataset, elements: tuple[int, ...] = (1, 6, 8, 30)) -> SiteBatch:
    stream = SiteStream(dataset, Settings(k=3, batch_size=1000), elements, COLUMNS, "train", True)
    return next(iter(stream))


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_nearest_left_is_what_sorting_by_hand_gives(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, m = 7, int(generator.integers(1, 9))
    k = int(generator.integers(1, m + 1))
    distances = generator.permutation(n * m).reshape(n, m) + 0.5
    neighbours = generator.integers(0, 100, (n, m))
    gone = generator.random((n, m)) < generator.random()
    ways = generator.normal(size=(n, m, 3))
    got = nearest_left(*(torch.from_numpy(a) for a in (distances, ways, neighbours, gone)), k)
    for row in range(n):
        left = [j for j in range(m) if not gone[row, j]] or list(range(m))
        left.sort(key=lambda j: distances[row, j])
        left = (left + [left[-1]] * k)[:k]
        assert got[0][row].tolist() == distances[row, left].tolist()
        assert got[1][row].tolist() == ways[row, left].tolist()
        assert got[2][row].tolist() == neighbours[row, left].tolist()


def test_rows_lie_in_the_same_crystal(learnable: Dataset) -> None:
    batch = batch_of(learnable)
    rows = rows_of_neighbours(batch["site"], batch["neighbours"])
    crystal = (batch["site"] == 0).cumsum(0)
    assert int(crystal[-1]) > 10
    assert (crystal[rows] == crystal[:, None]).all()
    assert (batch["site"][rows] == batch["neighbours"]).all()
    assert (batch["element"][rows[:, 0]] == batch["element"]).all(), "the first neighbour is the twin"


def test_untouched_crystals_are_the_dataset(learnable: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NOISY", 0.0)
    monkeypatch.setattr(module, "WITHOUT_HYDROGEN", 0.0)
    batch = batch_of(learnable)
    seen = augment(batch, 3, torch.Generator().manual_seed(0))
    assert (seen.distances == batch["distances"][:, :3]).all()
    assert (seen.neighbours == rows_of_neighbours(batch["site"], batch["neighbours"])[:, :3]).all()
    assert (seen.directions == batch["directions"].reshape(-1, 6, 3)[:, :3] / 127).all()
    hidden = seen.element == 0
    assert (seen.element[~hidden] == batch["element"][~hidden]).all()
    assert (seen.scored == hidden).all()
    crystal = (batch["site"] == 0).cumsum(0) - 1
    share = torch.bincount(crystal, hidden.double()) / torch.bincount(crystal)
    assert 0.4 < float((share == 1).double().mean()) < 0.75
    assert 0.1 < float(share[share < 1].mean()) < 0.7


def test_noise_is_as_large_as_it_says(learnable: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NOISY", 1.0)
    monkeypatch.setattr(module, "WITHOUT_HYDROGEN", 0.0)
    batch = batch_of(learnable)
    batch["distances"][:] = 3.0 * torch.arange(1, 7)
    seen = augment(batch, 6, torch.Generator().manual_seed(0))
    ratio = seen.distances / batch["distances"]
    crystal = (batch["site"] == 0).cumsum(0) - 1
    mean = torch.bincount(crystal, ratio.mean(dim=1).double()) / torch.bincount(crystal)
    assert 0.7 < float(mean.std() / module.STRAIN) < 1.3
    apart = (ratio - mean[crystal, None]) * batch["distances"]
    assert 0.7 < float(apart[:, 0].std() / (module.NOISE / 3**0.5)) < 1.3
    assert torch.allclose(seen.directions.norm(dim=2), torch.ones_like(seen.distances), atol=1e-5)
    before = batch["directions"].reshape(-1, 6, 3)[:, 0].double()
    cosine = (before * seen.directions[:, 0]).sum(dim=1) / before.norm(dim=1)
    turned = torch.arccos(cosine.clamp(-1, 1))  # by the noise across the way, along two axes
    assert 0.7 < float(turned.pow(2).mean().sqrt() * 3.0 / (module.NOISE / 3**0.5 * 2**0.5)) < 1.3


def test_left_out_hydrogens_are_nobodys_neighbours(
    learnable: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WITHOUT_HYDROGEN", 1.0)
    batch = batch_of(learnable)
    hydrogen = batch["element"] == 1
    seen = augment(batch, 3, torch.Generator().manual_seed(0))
    whole = rows_of_neighbours(batch["site"], batch["neighbours"])
    only_hydrogen = hydrogen[whole].all(dim=1)
    assert hydrogen.any()
    assert not only_hydrogen.all()
    assert not hydrogen[seen.neighbours][~only_hydrogen].any()
    assert not (seen.scored & hydrogen).any()
    assert (seen.distances.diff(dim=1) >= 0).all()


def test_elements_that_are_not_named_are_never_scored_but_seen(learnable: Dataset) -> None:
    batch = batch_of(learnable, (6, 8))
    assert (batch["target"][torch.isin(batch["element"], torch.tensor([1, 30]))] == -1).all()
    seen = augment(batch, 3, torch.Generator().manual_seed(0))
    assert set(batch["element"][seen.scored].tolist()) == {6, 8}
    assert {0, 1, 6, 8, 30} == set(seen.element.tolist())


def test_the_weights_balance_the_elements(learnable: Dataset) -> None:
    architecture = MaskedSite(3, (1, 6, 8))
    stream = SiteStream(learnable, Settings(k=3, batch_size=100), (1, 6, 8), COLUMNS, "train", True)
    architecture.prepare(stream)
    counts = learnable.element_counts("train")
    share = np.array([counts[z] for z in (1, 6, 8)], dtype=float)
    share /= share.sum()
    weight = architecture.network.log_weight.exp().numpy()
    np.testing.assert_allclose(weight / weight[0], (share / share[0]) ** -0.4, rtol=1e-5)
    assert float(weight @ share) == pytest.approx(1, rel=1e-5)
