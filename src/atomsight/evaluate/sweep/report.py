"""Result of a sweep: the suggested k with its checks, and all scores as JSON and CSV tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomsight.core.files import write_csv, write_json, write_rows
from atomsight.evaluate.confusion import confused_pairs
from atomsight.evaluate.sweep.run import SPLITS, Sweep
from atomsight.evaluate.sweep.suggest import (
    SCORES,
    USEFUL,
    Resampled,
    Score,
    Suggestion,
    resample,
    suggest,
    suggest_on_halves,
)


@dataclass(frozen=True)
class SweepReport:
    """A sweep with its errors and its suggestion.

    Attributes:
        sweep: The runs.
        score: Score on which the suggestion is based.
        useful: Smallest gain that counts.
        resampled: Scores on resampled groups and seeds, of each split.
        suggestion: The suggestion from ``val``.
        on_test: The k by the same rule on ``test``, as a check.
        on_halves: Share of random halves of val and test together by suggested k.
        on_splits: The k suggested after training with other splits, in order.
    """

    sweep: Sweep
    score: Score
    useful: float
    resampled: dict[str, Resampled]
    suggestion: Suggestion
    on_test: int
    on_halves: dict[int, float]
    on_splits: tuple[int, ...] = ()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row per k: parameters, seconds, and each split's scores, as means over the seeds.

        ``_error`` is the standard error over groups and seeds, ``_of_seeds`` the standard deviation of the
        seeds.
        """
        rows = []
        for i, k in enumerate(self.sweep.ks):
            runs = [self.sweep.runs[k, seed] for seed in self.sweep.seeds]
            row: dict[str, Any] = {
                "k": k,
                "runs": len(runs),
                "parameters": runs[0].parameters,
                "seconds": round(float(np.mean([run.seconds for run in runs])), 2),
            }
            for split, score in product(SPLITS, SCORES):
                values = self.sweep.counts[split].scores(score)[i]
                name, drawn = f"{split}_{score}", self.resampled[split].of(score)[:, i]
                row[name] = float(values.mean())
                row[f"{name}_error"] = float(np.std(drawn, ddof=1))
                row[f"{name}_of_seeds"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
            rows.append(row)
        return rows

    @property
    def unseen(self) -> dict[str, list[str]]:
        """Elements without sites in a split, by split. Its scores do not depend on them."""
        found = {split: self.sweep.counts[split].sites.sum(axis=0) for split in SPLITS}
        return {
            split: [symbol for symbol, n in zip(self.sweep.symbols, sites, strict=True) if not n]
            for split, sites in found.items()
        }

    def holds(self) -> str:
        """Describe the stability of the suggestion in one sentence."""
        k = self.suggestion.k
        agrees = "does too" if self.on_test == k else f"gives k = {self.on_test}"
        parts = [
            f"{100 * self.suggestion.sureness:.0f} % of the resamples suggest k = {k}",
            f"{100 * self.on_halves.get(k, 0.0):.0f} % of random halves of val and test do",
            f"the same rule on test {agrees}",
        ]
        if self.on_splits:
            same = sum(other == k for other in self.on_splits)
            found = ", ".join(map(str, self.on_splits))
            splits = "one other split" if len(self.on_splits) == 1 else f"{len(self.on_splits)} other splits"
            parts.append(f"trained anew under {splits}: {same} of {len(self.on_splits)} agree ({found})")
        return "; ".join(parts)

    def weighed(self) -> str:
        """Describe cost and gain of the largest k compared with the suggested one."""
        rows = {row["k"]: row for row in self.rows}
        k, last = self.suggestion.k, self.sweep.ks[-1]
        chosen, largest = rows[k], rows[last]
        if k == last:
            return f"k = {k} is the largest tried: a larger one may be better still"
        gain = next(c for c in self.suggestion.comparisons if (c.k, c.larger) == (k, last))
        more = largest["parameters"] - chosen["parameters"]
        time = largest["seconds"] / chosen["seconds"] - 1
        return (
            f"k = {last} would cost {more:,} parameters more ({more / chosen['parameters']:+.1%}) "
            f"and {time:+.0%} training time, and change the {self.score.replace('_', ' ')} on val by "
            f"{gain.difference:+.4f} ± {gain.error:.4f}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the matrices, for JSON."""
        suggestion = asdict(self.suggestion)
        suggestion["resamples"] = {str(k): share for k, share in self.suggestion.resamples.items()}
        return {
            "elements": list(self.sweep.symbols),
            "ks": list(self.sweep.ks),
            "seeds": list(self.sweep.seeds),
            "score": self.score,
            "useful": self.useful,
            "groups": {split: len(self.sweep.counts[split].sites) for split in SPLITS},
            "unseen": self.unseen,
            "suggestion": suggestion,
            "on_test": self.on_test,
            "on_halves": {str(k): share for k, share in self.on_halves.items()},
            "on_splits": list(self.on_splits),
            "sureness": self.holds(),
            "weighed": self.weighed(),
            "table": self.rows,
            "per_element": element_rows(self.sweep, self.resampled["test"]),
            "confused_pairs": pair_rows(self.sweep),
        }


def report_sweep(
    sweep: Sweep,
    score: Score = "macro_recall",
    *,
    useful: float = USEFUL,
    on_splits: Sequence[int] = (),
    seed: int = 0,
) -> SweepReport:
    """Resample, suggest on ``val``, and check the suggestion on ``test`` and on random halves.

    Args:
        sweep: See `sweep.run.sweep_k`.
        score: ``macro_recall`` or ``accuracy``.
        useful: Smallest gain that justifies a larger network.
        on_splits: Suggestions of sweeps with other splits.
        seed: Seed of the resampling.
    """
    resampled = {split: resample(sweep.counts[split], seed=seed) for split in SPLITS}
    found = {
        split: suggest(sweep.counts[split], score, useful=useful, resampled=resampled[split])
        for split in SPLITS
    }
    both = sweep.counts["val"].join(sweep.counts["test"])
    on_halves = suggest_on_halves(both, score, useful=useful, seed=seed)
    on_test = found["test"].k
    return SweepReport(sweep, score, useful, resampled, found["val"], on_test, on_halves, tuple(on_splits))


def element_rows(sweep: Sweep, resampled: Resampled, split: str = "test") -> list[dict[str, Any]]:
    """Return a row per element and k: sites, recall (mean over the seeds) and its standard error.

    Recall and error are None where the split has no site of the element.
    """
    counts = sweep.counts[split]
    sites, recall = counts.sites.sum(axis=0), counts.recall().mean(axis=1)
    rows: list[dict[str, Any]] = []
    for (e, symbol), (i, k) in product(enumerate(sweep.symbols), enumerate(sweep.ks)):
        drawn = resampled.recall[:, i, e]
        drawn = drawn[~np.isnan(drawn)]
        row: dict[str, Any] = {"element": symbol, "k": k, "sites": int(sites[e])}
        row["groups"] = int(np.count_nonzero(counts.sites[:, e]))
        row["recall"] = float(recall[i, e]) if sites[e] else None
        row["error"] = float(np.std(drawn, ddof=1)) if sites[e] and len(drawn) > 1 else None
        rows.append(row)
    return rows


def worst_pairs(sweep: Sweep, most: int, split: str = "test") -> list[tuple[int, int]]:
    """Return the columns of the pairs most often confused over all k, both directions together."""
    pairs = confused_pairs(sweep.matrices(split).sum(axis=0), symmetric=True)
    return [(pair.true, pair.predicted) for pair in pairs[:most]]


def pair_rates(sweep: Sweep, pair: tuple[int, int], split: str = "test") -> NDArray[np.float64]:
    """Return the (ks, seeds) share of the sites of two elements that were taken for each other."""
    i, j = pair
    matrices = np.array([[sweep.runs[k, seed].matrices[split] for seed in sweep.seeds] for k in sweep.ks])
    sites = matrices.sum(axis=3)
    wrong = matrices[:, :, i, j] + matrices[:, :, j, i]
    return np.asarray(wrong / (sites[:, :, i] + sites[:, :, j]))


def pair_rows(sweep: Sweep, most: int = 50) -> list[dict[str, Any]]:
    """Return a row per confused pair and k, on ``test``.

    It has the confused sites (mean over the seeds), their share, and the smallest and the largest share among
    the seeds.
    """
    matrices = sweep.matrices("test")
    rows: list[dict[str, Any]] = []
    for i, j in worst_pairs(sweep, most):
        for k, matrix, rate in zip(sweep.ks, matrices, pair_rates(sweep, (i, j)), strict=True):
            row: dict[str, Any] = {"pair": f"{sweep.symbols[i]}/{sweep.symbols[j]}", "k": k}
            row["sites"] = float(matrix[i, j] + matrix[j, i]) / len(sweep.seeds)
            row |= {"share": float(rate.mean()), "least": float(rate.min()), "largest": float(rate.max())}
            rows.append(row)
    return rows


def write_sweep(report: SweepReport, settings: dict[str, Any], folder: Path) -> list[Path]:
    """Write the tables of a sweep.

    The files are ``sweep.json``, ``k.csv``, ``elements.csv``, ``pairs.csv``, ``comparisons.csv``, and
    ``confusion/k03.csv`` for each k (test counts, rows true, summed over the seeds).

    Args:
        report: The result of the sweep.
        settings: Settings of the sweep for ``sweep.json``.
        folder: Folder of the files.

    Returns:
        The paths of the files.
    """
    content = {**settings, **report.as_dict()}
    paths = [folder / "sweep.json"]
    write_json(paths[0], content)
    for name, rows in (
        ("k.csv", content["table"]),
        ("elements.csv", content["per_element"]),
        ("pairs.csv", content["confused_pairs"]),
        ("comparisons.csv", content["suggestion"]["comparisons"]),
    ):
        paths.append(folder / name)
        write_rows(paths[-1], rows, ".6g")
    symbols = report.sweep.symbols
    for k, matrix in zip(report.sweep.ks, report.sweep.matrices("test"), strict=True):
        paths.append(folder / "confusion" / f"k{k:02d}.csv")
        counts = ((symbol, *row) for symbol, row in zip(symbols, matrix.tolist(), strict=True))
        write_csv(paths[-1], ("true", *symbols), counts)
    return paths
