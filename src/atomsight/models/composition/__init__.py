"""Predictions under a known composition: the counts over the sites, or a formula from elsewhere."""
