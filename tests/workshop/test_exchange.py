"""Elements exchanged for others that stand for them."""

from __future__ import annotations

import numpy as np
import pytest

from atomsight.core.errors import ModelError
from workshop.plausibility import exchange
from workshop.plausibility.exchange import Exchanges


@pytest.fixture(scope="module")
def exchanges() -> Exchanges:
    return Exchanges.of_model("masked-site-isotypes")


def rock_salt() -> tuple[list[np.ndarray], np.ndarray]:
    """NaCl, a decoy of four sites, and shares."""
    return [np.array([11, 17], np.uint8), np.array([17, 11, 17, 11], np.uint8)], np.array([0.5, 0.5])


def test_an_element_gives_way_in_all_structures_to_one_that_was_not_there(exchanges: Exchanges) -> None:
    seen = set()
    for seed in range(300):
        structures, weight = rock_salt()
        exchanges.apply(structures, weight.astype(np.float32), np.random.default_rng(seed))
        real, decoy = structures
        assert real[0] != real[1]
        assert decoy.tolist() == [real[1], real[0], real[1], real[0]]
        seen.add(tuple(real.tolist()))
    assert {(11, 17), (19, 17), (11, 35)} <= seen  # as it was, KCl, NaBr


def test_a_larger_element_takes_more_room(exchanges: Exchanges, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "AGAIN", 0.0)
    factors = {}
    for seed in range(300):
        structures, weight = rock_salt()
        factor = exchanges.apply(structures, weight.astype(np.float32), np.random.default_rng(seed))
        factors[tuple(structures[0].tolist())] = factor
    assert factors[3, 17] < factors[11, 17] == 1.0 < factors[19, 17]
    # NaCl 5.64, KCl 6.29, NaBr 5.97 Å
    assert factors[19, 17] == pytest.approx(6.29 / 5.64, rel=0.04)
    assert factors[11, 35] == pytest.approx(5.97 / 5.64, rel=0.04)


def test_a_model_without_isotypes_is_refused() -> None:
    with pytest.raises(ModelError, match="masked-site-isotypes does"):
        Exchanges.of_model("masked-site")
