"""One kind fitted anew in the file of all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from salts import ROCK_SALT, ZINC_BLENDE, cubic

from atomsight.screen import calibrate_rank
from atomsight.screen.tables import FILE

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
        assert changed == {"weights", "bias", "crowd", "real_2", "real_5", "margins_2", "margins_5"}
        others = [0, 1, 3]
        assert np.array_equal(before["weights"][others], after["weights"][others])
        assert not np.array_equal(before["weights"][2], after["weights"][2])
        assert len(after["real_2"]) == len(SALTS)
        assert len(after["margins_2"]) == 0


def test_one_kind_is_not_fitted_with_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Path(shutil.copy(FILE, tmp_path))
    with pytest.raises(SystemExit):
        run(monkeypatch, out, "--kinds", "inorganic", "--model", "masked-site-angles-2")
    assert "another model" in capsys.readouterr().err
    assert out.read_bytes() == FILE.read_bytes()
