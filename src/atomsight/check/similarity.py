"""Similarities of elements that are often confused in published structures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomsight.core.elements import NUMBERS

SIMILARITIES = ("one_apart", "few_apart", "same_group", "hydrogen")
"""Kinds of similarity: neighbours in the periodic table; two or three places apart; the same group (scandium,
yttrium, the lanthanides and the actinides are one group); one of the two is hydrogen."""

_GROUPS = """
    Li Na K Rb Cs Fr | Be Mg Ca Sr Ba Ra | Ti Zr Hf | V Nb Ta | Cr Mo W | Mn Tc Re | Fe Ru Os | Co Rh Ir |
    Ni Pd Pt | Cu Ag Au | Zn Cd Hg | B Al Ga In Tl | C Si Ge Sn Pb | N P As Sb Bi | O S Se Te Po |
    F Cl Br I At | He Ne Ar Kr Xe Rn | Sc Y La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Ac Th Pa U Np Pu Am
    Cm Bk Cf Es Fm Md No Lr
"""


def _table() -> NDArray[np.float64]:
    group = np.arange(119) + 100  # an element that is not listed is a group of its own
    for place, symbols in enumerate(_GROUPS.split("|")):
        group[[NUMBERS[symbol] for symbol in symbols.split()]] = place
    number = np.arange(119)
    apart = np.abs(number[:, None] - number)
    same, hydrogen = group[:, None] == group, (number[:, None] == 1) | (number == 1)
    similar = np.stack([apart == 1, (apart == 2) | (apart == 3), same, hydrogen], axis=-1)
    return similar.astype(np.float64)


SIMILARITY = _table()
"""(119, 119, 4) 1 if two atomic numbers have the similarity of `SIMILARITIES`, else 0."""
