"""Predictions under a known composition: the counts over the sites, or an external formula."""
