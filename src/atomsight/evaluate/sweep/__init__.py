"""Sweeps over the number of neighbours k: training, statistics, the suggested k."""
