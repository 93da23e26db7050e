"""Print the thresholds behind the verdict of `atomsight rank`, for each crystal class and risk.

    python benchmarks/rank_thresholds.py [--risks 0.005 0.05]

*score* is the threshold for fewer than ten candidates of a formula; *margin* is the threshold on the distance
to the best candidate, for as many candidates as the calibration had.
"""

from __future__ import annotations

import argparse

from atomsight.geometry.crystal_class import VERDICT_CLASSES
from atomsight.rank.calibration import RankCalibration


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--risks", type=float, nargs="+", default=[0.05, 0.01, 0.005, 0.002])
    risks = parser.parse_args().risks
    print(
        "| class | option | crystals | " + " | ".join(f"score, margin at {risk:g}" for risk in risks) + " |"
    )
    print("|---|---|---|" + "---|" * len(risks))
    for relaxed in (False, True):
        combination = RankCalibration.load().combination(relaxed)
        limits = [(combination.thresholds(risk), combination.margin_thresholds(risk)) for risk in risks]
        for name in VERDICT_CLASSES:
            if relaxed and name not in ("inorganic", "element"):
                continue  # the option concerns inorganic candidates alone
            cells = [
                f"{scores[name]:.1f}, " + ("-" if margins[name] is None else f"{margins[name]:.1f}")
                for scores, margins in limits
            ]
            option = "`--relaxed`" if relaxed else ""
            print(f"| {name} | {option} | {len(combination.limits[name].scores):,} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
