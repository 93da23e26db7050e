"""Print the thresholds behind the verdict of `atomsight rank`, for each crystal class and risk.

    python benchmarks/rank_thresholds.py [--risks 0.005 0.05]

*score* is the threshold for fewer than ten candidates of a formula; *margin* is the threshold on the distance
to the best candidate, for as many candidates as the calibration had, *group*.
"""

from __future__ import annotations

import argparse

from atomsight.geometry.crystal_class import VERDICT_CLASSES
from atomsight.rank.calibration import RankCalibration


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--risks", type=float, nargs="+", default=[0.05, 0.01, 0.005, 0.002])
    risks = parser.parse_args().risks
    columns = [f"{what} at {risk:g}" for risk in risks for what in ("score", "margin")]
    print("| class | option | crystals | group | " + " | ".join(columns) + " |")
    print("|---|---|---|---|" + "---|" * len(columns))
    for relaxed in (False, True):
        combination = RankCalibration.load().combination(relaxed)
        limits = [(combination.thresholds(risk), combination.margin_thresholds(risk)) for risk in risks]
        for name in VERDICT_CLASSES:
            if relaxed and name not in ("inorganic", "element"):
                continue  # the option concerns inorganic candidates alone
            cells = [
                "-" if values[name] is None else f"{values[name]:.1f}" for limit in limits for values in limit
            ]
            option = "`--relaxed`" if relaxed else ""
            known = combination.limits[name]
            group = f"{known.group_size:.0f}" if len(known.margins) else "-"
            print(f"| {name} | {option} | {len(known.scores):,} | {group} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
