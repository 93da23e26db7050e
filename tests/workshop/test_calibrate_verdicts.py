"""The command that finds the limits of `rank`, on real files from beginning to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atomsight.dataset import build
from atomsight.rank.calibration import FILE
from atomsight.rank.verdicts import LEAST
from salts import ROCK_SALT, ZINC_BLENDE, archive_of, cubic
from workshop import calibrate_rank, calibrate_verdicts

EXAMPLES = Path(__file__).parents[2] / "examples" / "crystals.tar.xz"

TRAIN = [("K Cl", 6.29, ROCK_SALT), ("Li F", 4.03, ROCK_SALT), ("Cd S", 5.82, ZINC_BLENDE)]
VAL = [("Zn S", 5.41, ZINC_BLENDE), ("Ni O", 4.18, ROCK_SALT), ("Rb Cl", 6.58, ROCK_SALT)]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """So few decoys that it takes seconds."""
    crowd = 20
    monkeypatch.setattr(calibrate_verdicts, "DECOYS", dict.fromkeys(calibrate_verdicts.DECOYS, crowd))
    monkeypatch.setattr(calibrate_verdicts, "DRAWS", {"inorganic": 2})
    return crowd


def test_limits_are_found_from_archives(
    few: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    salts = archive_of([cubic(*one) for one in TRAIN + VAL], tmp_path / "salts.tar.gz")
    dataset, out = tmp_path / "dataset", tmp_path / "rank.npz"
    build([salts, EXAMPLES], dataset, 24)
    out.write_bytes(FILE.read_bytes())

    paths = [dataset, "--small", salts, "--large", EXAMPLES, "--molecular", dataset, EXAMPLES, "--out", out]
    arguments = [str(one) for one in paths]

    def run(*more: str) -> dict[str, np.ndarray]:
        monkeypatch.setattr("sys.argv", ["calibrate_verdicts", *arguments, *more])
        calibrate_verdicts.main()
        return dict(np.load(out))

    shipped = dict(np.load(FILE))
    once = run("--kinds", "inorganic")
    assert len(once["margins_inorganic"]) == len(VAL)  # each beside two draws of decoys
    assert (np.diff(once["margins_inorganic"]) >= 0).all()
    assert LEAST < once["crowd_inorganic"] <= few + 1
    assert (once["margins_inorganic"] <= 0).all()
    assert (once["margins_molecular"] == shipped["margins_molecular"]).all()  # what was not asked for stays
    options = calibrate_rank.arguments(None).parse_args(arguments)
    places = [
        [
            one.fractional.tolist()
            for group in calibrate_verdicts.groups_of("inorganic", options)
            for one in group
        ]
        for _ in range(2)
    ]
    assert places[0] == places[1]
    again = run("--kinds", "inorganic", "molecular")
    for name, values in once.items():  # a kind draws from a generator of its own
        if not name.endswith("_molecular"):
            assert (again[name] == values).all(), name
    assert len(again["margins_molecular"]) >= 5
    assert (again["margins_molecular"] <= 0).all()
    assert again["crowd_molecular"] <= few + 1
    assert "molecular: " in capsys.readouterr().out
