"""One kind fitted anew in the file of all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from atomsight.rank.calibration import FILE, MODEL, RankCalibration
from salts import ROCK_SALT, ZINC_BLENDE, cubic
from workshop import calibrate_rank
from workshop.calibrate_rank import stale_classes

SALTS = [
    *(cubic(f"{metal} Cl", length, ROCK_SALT) for metal, length in (("Li", 5.1), ("Na", 5.6), ("K", 6.3))),
    *(cubic(symbols, length, ZINC_BLENDE) for symbols, length in (("Zn S", 5.4), ("Cd S", 5.8))),
]


def run(monkeypatch: pytest.MonkeyPatch, out: Path, *more: str) -> None:
    given = ["fit", "-", "--small", "-", "--large", "-", "--molecular", "-", "-", "--out", str(out), *more]
    monkeypatch.setattr("sys.argv", given)
    calibrate_rank.main()


def test_the_other_kinds_stay_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Path(shutil.copy(FILE, tmp_path))
    monkeypatch.setattr(calibrate_rank, "split_crystals", lambda *given: iter(SALTS))
    run(monkeypatch, out, "--kinds", "inorganic")
    with np.load(FILE) as before, np.load(out) as after:
        assert set(before) == set(after)
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        limits = {
            f"{what}_{name}" for what in ("real", "margins", "crowd") for name in ("inorganic", "element")
        }
        assert changed == {"weights_inorganic", "bias_inorganic"} | limits
        assert len(after["real_inorganic"]) == len(SALTS)
        assert len(after["margins_inorganic"]) == 0


def test_one_kind_is_not_fitted_with_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copy(FILE, tmp_path))
    with pytest.raises(SystemExit):
        run(monkeypatch, out, "--kinds", "inorganic", "--model", "masked-site-angles-2")
    message = capsys.readouterr().err
    assert "another model" in message
    assert "fit framework, unrelaxed too" in " ".join(message.split())
    assert out.read_bytes() == FILE.read_bytes()


def test_kinds_whose_network_has_changed_are_fitted_together() -> None:
    held = RankCalibration.load()
    same = dict(held.fitted_with)
    assert stale_classes(held, MODEL, same) == set()
    assert stale_classes(held, MODEL, same | {"inorganic-unrelaxed": "0"}) == {"unrelaxed"}
    assert stale_classes(held, MODEL, same | {"inorganic-relaxed": "0"}) == {"inorganic"}
    assert stale_classes(held, MODEL, same | {"general": "0"}) == {"framework", "inorganic"}
    assert stale_classes(held, MODEL, same | {MODEL: "0"}) == {"framework", "unrelaxed"}
