"""Known crystals of the same structure type, beside a network.

Isotypic crystals place their atoms alike and differ in elements and size. A network that has seen ErPd3 and
LuPd3 takes TmPd3 for one of them, though a length between theirs is what thulium leads to expect: it learns
structure types well, and small differences of length badly. Here it is the other way round. The crystals
that a model was trained on are kept as bare numbers: the distances of their sites relative to their mean,
that mean, and the elements. A crystal to be named is compared with all of as many sites (`match`); each that
is isotypic tells what it would be with one of its elements exchanged for another, as often as the two stand
for each other in other structure types, and as well as the difference of volume fits (`bank`). Network and
isotypes join in a logarithmic opinion pool (Genest and Zidek 1986, 10.1214/ss/1177013825).

How elements stand for each other is counted among the crystals themselves (`workshop.isotypes`), as in
Hautier et al. 2011, 10.1021/ic102031h, and Glawe et al. 2016, 10.1088/1367-2630/18/9/093011.
"""
