"""Training data of the plausibility networks, and the command that trains them.

| module | contents |
|---|---|
| `examples` | real crystals, each with decoys of the same formula, as arrays |
| `prototypes` | which inorganic crystals share a structure prototype |
| `exchange` | element substitutions that augment the training crystals |
| `whole` | training data of the networks that judge structures as they are |
| `unrelaxed` | training data of the network that judges unrelaxed inorganic candidates |
| `train` | the command |
"""
