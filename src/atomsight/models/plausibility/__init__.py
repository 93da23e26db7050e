"""A learned likelihood ratio: does a site's surrounding look like one of a real crystal, or of a decoy?

`inference` runs the exported networks; `atomsight.training.plausibility` trains them.
"""
