"""What `atomsight check --json` flags among minerals, counted by kind, and the most suspicious.

python benchmarks/amcsd.py larixite/amcsd_cif1.db amcsd.tar.xz
atomsight check amcsd.tar.xz --json > found.jsonl
python benchmarks/minerals.py found.jsonl [--show 20]
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

NOBLE = {"He", "Ne", "Ar", "Kr", "Xe"}


def kind(top: dict[str, Any], elements: set[str]) -> str:
    """What a flagged crystal's most suspicious site is."""
    if top["element"] in NOBLE:
        return "a noble gas"
    if top["element"] == "N" and "H" not in elements:
        return "a nitrogen in a crystal without hydrogens"
    if (top["element"], top["suggested"]) == ("O", "F"):
        return "an oxygen taken for fluorine"
    return "something else"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("found", type=Path)
    parser.add_argument("--show", type=int, default=20, help="crystals, the most suspicious first")
    given = parser.parse_args()
    lines = [json.loads(line) for line in given.found.read_text().splitlines()]
    judged = [one for one in lines if one.get("sites")]
    flagged = []
    kinds: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for one in judged:
        sites = [site for site in one["sites"] if site["flagged"]]
        if not sites:
            continue
        flagged.append(one)
        top = max(sites, key=lambda site: site["suspicion"])
        kinds[kind(top, {site["element"] for site in one["sites"]})] += 1
        pairs.update((site["element"], site["suggested"]) for site in sites)
    print(f"{len(judged):,} crystals, {len(flagged)} flagged ({len(flagged) / len(judged):.1%})")
    print("most suspicious in them:", ", ".join(f"{name} {count}" for name, count in kinds.most_common()))
    print("sites:", ", ".join(f"{a} as {b} {count}" for (a, b), count in pairs.most_common(12)))
    for one in sorted(flagged, key=lambda one: -one["score"])[: given.show]:
        named = [f"{s['label']} as {s['suggested']}" for s in one["sites"] if s["flagged"]]
        print(f"{one['score']:.1f} {one['crystal']} {one['formula']}: {', '.join(named)}")


if __name__ == "__main__":
    main()
