"""A learned likelihood ratio: does a site's surrounding look like one of a real crystal, or of a decoy?

| module | what it holds |
|---|---|
| `examples` | real crystals, each with decoys of the same formula, as arrays |
| `fit` | trains the network on them and exports it (extra ``train``); ``python -m`` runs it |
| `runtime` | the exported network at work |

The network has the trunk of the masked-site model, sees all elements, and gives one logit a site. A crystal's
logit joins those of its sites, `runtime.crystal_logits`. It is trained noise-contrastively (Gutmann and
Hyvärinen 2010, AISTATS): to tell the real crystal among decoys of its formula.
"""

from __future__ import annotations
