"""Known crystals of the same structure type that are pooled with a network.

Isotypic crystals have the same arrangement of atoms and differ in elements and size. A network learns
structure types well, but small differences of length badly: after training on ErPd3 and LuPd3 it predicts one
of them for TmPd3, although thulium explains a length between theirs. Isotypes complement it. The training
crystals of a model are stored as the distances of their sites relative to their mean, that mean, and the
elements. A crystal is compared with all of the same number of sites (`match`). Each isotypic one votes for
its own elements and for those with one element substituted, weighted by the frequency of the substitution in
other structure types and by the fit of the volume (`bank`). Network and isotypes are combined in a
logarithmic opinion pool (Genest and Zidek 1986, 10.1214/ss/1177013825).

The frequencies of substitutions are counted among the crystals themselves (`workshop.isotypes`), as in
Hautier et al. 2011, 10.1021/ic102031h, and Glawe et al. 2016, 10.1088/1367-2630/18/9/093011.
"""
