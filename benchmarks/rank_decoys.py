"""Real crystals of a split among decoys of their formula and density, and among other compositions.

    export PYTHONPATH=.    # for the package workshop
    python benchmarks/rank_decoys.py DATASET --small ARCHIVE --large ARCHIVE ... --molecular DATASET ARCHIVE
        [--split test] [--most 60] [--all] [--decoys 100] [--risks 0.005] [--leave-out FILE]
        [--copies]

First table: each real crystal against decoys made of it: geometries of other crystals, swapped elements,
shifted atoms, strained cells and random packings for inorganic crystals; the same without other geometries
for frameworks; molecules packed anew, as rigid bodies in random groups, for molecular crystals. All have the
real volume. What makes the real crystal again, but for its scale, is no decoy and is left out
(`prototypes.same_prototype`): elements exchanged to no effect, other crystals of its prototype, copies hardly
shifted or strained (unless --copies), and geometries of the compound's other known forms.

Second: decorated templates (Ryan, Lengyel and Shatruk 2018, 10.1021/jacs.8b03913): the geometry of a real
inorganic crystal with the elements of every formula that ``train`` holds at its stoichiometry, in every way
that the counts allow; the formula's best way is its score. Here the geometry is the real, undistorted one,
and combinations come from the dataset, theirs from databases of known structures and, for new ones, all
elements.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import groupby, permutations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atomsight.core.crystal import Crystal
from atomsight.geometry.crystal_class import verdict_class
from atomsight.rank.ledger import Ledger, Ranked
from atomsight.rank.rank import RISK, Ranker
from atomsight.rank.verdicts import Verdicts
from workshop import decoys
from workshop.calibrate_rank import molecular_crystals, packings_of
from workshop.calibrate_verdicts import by_formula, mixed_decoys
from workshop.plausibility.examples import bank_of, split_crystals

MOST_ATOMS = {"inorganic": 60, "framework": 250, "molecular": 250}


def rows(
    name: str, ranker: Ranker, groups: Iterator[tuple[Crystal, list[Crystal]]], risks: list[float]
) -> Iterator[str]:
    """Lines of the first table, one for each risk, and one that names the crystals lost at the first."""
    judges = [Verdicts(ranker.combination, risk) for risk in risks]
    areas, firsts, scores, truth, lost = [], [], [], [], []
    told: list[list[NDArray[np.bool_]]] = [[] for _ in risks]
    for crystal, others in groups:
        if not others:
            continue
        scored = list(ranker.stream([crystal, *others]))
        score = np.array([entry.score for entry in scored])
        for judge, verdicts in zip(judges, told, strict=True):
            verdicts.append(unlikely(scored, judge))
        if told[0][-1][0]:
            lost.append(f"{crystal.name} ({crystal.formula})")
        areas.append((score[1:] < score[0]).mean() + 0.5 * (score[1:] == score[0]).mean())
        firsts.append(bool((score[1:] < score[0]).all()))
        scores.append(score)
        truth.append(np.arange(len(score)) == 0)
    if not areas:
        yield f"| {name} | | 0 | 0 | | | | | |"
        return
    real = np.concatenate(truth)
    together = area(np.concatenate(scores), real)
    for risk, verdicts in zip(risks, told, strict=True):
        thrown = np.concatenate(verdicts)
        yield (
            f"| {name} | {100 * risk:g} % | {len(areas)} | {(~real).sum():,} | {np.mean(areas):.4f} | "
            f"{together:.4f} | {100 * np.mean(firsts):.0f} % | {100 * (~thrown[real]).mean():.1f} % "
            f"({thrown[real].sum()} lost) | {100 * thrown[~real].mean():.1f} % |"
        )
    if lost:
        yield f"\nlost at {100 * risks[0]:g} %: {', '.join(lost)}\n"


def unlikely(scored: list[Ranked], verdicts: Verdicts) -> NDArray[np.bool_]:
    """Which candidates of one formula are thrown away."""
    with Ledger(verdicts) as ledger:
        for place, entry in enumerate(scored):
            alone = verdicts.alone(verdict_class(entry.crystal_class, entry.formula), entry.score)
            ledger.add(replace(entry, crystal=str(place), verdict=alone))
        told = {int(entry.crystal): entry.verdict for entry in ledger.ordered()}
    return np.array([told[place] == "unlikely" for place in range(len(scored))])


def area(score: NDArray, truth: NDArray) -> float:
    """Under the receiver's curve."""
    right, wrong = np.sort(score[truth]), score[~truth]
    below = np.searchsorted(right, wrong, "left") + np.searchsorted(right, wrong, "right")
    return float(1 - below.mean() / 2 / len(right))


def palettes(crystals: list[Crystal]) -> dict[tuple[int, ...], set[tuple[tuple[int, ...], ...]]]:
    """By stoichiometry: the formulas, each as the elements of every count, ascending."""
    found: dict[tuple[int, ...], set[tuple[tuple[int, ...], ...]]] = {}
    for crystal in crystals:
        kinds, counts = np.unique(crystal.numbers, return_counts=True)
        ordered = sorted(zip(counts.tolist(), kinds.tolist(), strict=True))
        formula = tuple(tuple(z for _, z in part) for _, part in groupby(ordered, key=lambda item: item[0]))
        found.setdefault(decoys.stoichiometry(crystal), set()).add(formula)
    return found


def dressed(crystal: Crystal, formula: tuple[tuple[int, ...], ...]) -> list[Crystal]:
    """The geometry with the elements of a formula of the same stoichiometry, in every way the counts
    allow."""
    kinds, counts = np.unique(crystal.numbers, return_counts=True)
    places = kinds[np.lexsort((kinds, counts))]
    found = []
    for choice in product(*(permutations(part) for part in formula)):
        table = np.zeros(256, np.uint8)
        table[places] = [z for part in choice for z in part]
        found.append(decoys.with_elements(crystal, table[crystal.numbers]))
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--small", type=Path, nargs="+", required=True)
    parser.add_argument("--kinds", nargs="+", choices=MOST_ATOMS, default=list(MOST_ATOMS))
    parser.add_argument("--large", type=Path, nargs="*", default=[])
    parser.add_argument("--molecular", type=Path, nargs=2, metavar=("DATASET", "ARCHIVE"))
    parser.add_argument("--leave-out", type=Path, help="file of formulas, one a line")
    parser.add_argument("--split", default="test")
    parser.add_argument("--most", type=int, default=60, help="crystals of each kind")
    parser.add_argument(
        "--all", action="store_true", help="every crystal of the archives, up to --most of each"
    )
    parser.add_argument("--risks", type=float, nargs="+", default=[RISK], help="of losing a real structure")
    parser.add_argument("--decoys", type=int, default=100)
    parser.add_argument(
        "--copies", action="store_true", help="count the least shifted and strained copies, too"
    )
    parser.add_argument("--templates", type=int, default=150, help="crystals of the second table")
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    left = given.leave_out.read_text().split() if given.leave_out else []
    train = list(split_crystals(given.dataset, given.small, "train", left))
    bank = bank_of(crystal for crystal in train if crystal.n_atoms <= MOST_ATOMS["inorganic"])
    ranker = Ranker(relaxed=True, threads=1)
    print(f"{date.today()}, {platform.machine()}, model {ranker.model.fingerprint[:12]}, {given.split}\n")
    print(
        "| kind | risk | crystals | decoys | AUC within | AUC over all | real first | real kept | "
        "decoys unlikely |"
    )
    print("|---|---|---|---|---|---|---|---|---|")

    def chosen(archives: list[Path], kind: str) -> Iterator[Crystal]:
        per = given.most if kind == "inorganic" or given.all else 1 + given.most // len(archives)
        most = per if given.all else 2 * per
        for crystal in split_crystals(given.dataset, archives, given.split, left, most, 2):
            if crystal.n_atoms <= MOST_ATOMS[kind] and (given.all or generator.random() < 0.7):
                yield crystal

    for kind, archives, templates in (("inorganic", given.small, bank), ("framework", given.large, {})):
        if not archives or kind not in given.kinds:
            continue
        known = by_formula(split_crystals(given.dataset, archives, given.split, left)) if templates else {}
        groups = (
            (crystal, list(mixed_decoys(crystal, templates, given.decoys, generator, forms, given.copies)))
            for crystal in chosen(archives, kind)
            for forms in [known.get(crystal.formula, ())]
        )
        print(*rows(kind, ranker, groups, given.risks), sep="\n", flush=True)
    if given.molecular and "molecular" in given.kinds:
        home, archive = given.molecular
        loose = molecular_crystals(list(split_crystals(home, [archive], given.split)))
        groups = (
            (crystal, packings_of(crystal, parts, given.decoys, generator, looser=(0.0, 0.0)))
            for crystal, parts in loose
            if crystal.n_atoms <= MOST_ATOMS["molecular"]
        )
        print(*rows("molecular", ranker, groups, given.risks), sep="\n", flush=True)

    formulas = palettes(train)
    places, sizes = [], []
    for crystal in split_crystals(given.dataset, given.small, given.split, left, given.templates, 3):
        own = next(iter(palettes([crystal]).values())).pop()
        others = formulas.get(decoys.stoichiometry(crystal), set()) - {own}
        if (len(own) == 1 and len(own[0]) == 1) or len(others) < 20:
            continue
        real = next(iter(ranker.stream([crystal]))).score
        best = [max(one.score for one in ranker.stream(dressed(crystal, other))) for other in others]
        places.append(1 + int((np.array(best) >= real).sum()))
        sizes.append(len(others) + 1)
    if not places:
        return
    rank = np.array(places)
    print(
        f"\ndecorated templates: {len(rank)} crystals against {np.median(sizes):.0f} formulas (median): "
        f"first {100 * np.mean(rank == 1):.0f} %, among ten {100 * np.mean(rank <= 10):.0f} % "
        f"(by chance {100 * np.mean(np.minimum(1, 10 / np.array(sizes))):.0f} %)"
    )


if __name__ == "__main__":
    main()
