"""Training and export of the plausibility networks.

A network has the layers of the masked-site model, sees all elements, and gives one logit a site. A crystal's
logit joins those of its sites, see `atomsight.models.plausibility`. It is trained noise-contrastively
(Gutmann and Hyvärinen 2010, AISTATS): to tell the real crystal among decoys of its formula.
"""
