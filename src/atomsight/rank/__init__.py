"""Ranking of candidate structures by plausibility, with verdicts."""
