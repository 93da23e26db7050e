"""A learned likelihood ratio: does a site's surrounding look like one of a real crystal, or of a decoy?

| module | what it holds |
|---|---|
| `examples` | real crystals, each with decoys of the same formula, as arrays |
| `prototypes` | which inorganic crystals share their prototype: one shows the other before its relaxation |
| `whole` | what the network of structures as they are learns from |
| `unrelaxed` | what the network of unrelaxed inorganic candidates learns from |
| `batch` | structures of several formulas as one training step sees them |
| `fit` | trains a network and exports it (extra ``train``); ``python -m`` runs it |
| `runtime` | the exported networks at work |

A network has the trunk of the masked-site model, sees all elements, and gives one logit a site. A crystal's
logit joins those of its sites, `runtime.crystal_logits`. It is trained noise-contrastively (Gutmann and
Hyvärinen 2010, AISTATS): to tell the real crystal among decoys of its formula.
"""

from __future__ import annotations
