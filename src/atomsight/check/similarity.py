"""How alike two elements are, in the ways in which they are mistaken for each other."""

from __future__ import annotations

import numpy as np

from atomsight.core.elements import NUMBERS

LIKENESSES = ("one_apart", "few_apart", "same_group", "hydrogen")
"""Next to each other in the periodic table; two or three places apart; in one group (scandium, yttrium, the
lanthanides and the actinides make one); one of the two is hydrogen."""

_GROUPS = """
    Li Na K Rb Cs Fr | Be Mg Ca Sr Ba Ra | Ti Zr Hf | V Nb Ta | Cr Mo W | Mn Tc Re | Fe Ru Os | Co Rh Ir |
    Ni Pd Pt | Cu Ag Au | Zn Cd Hg | B Al Ga In Tl | C Si Ge Sn Pb | N P As Sb Bi | O S Se Te Po |
    F Cl Br I At | He Ne Ar Kr Xe Rn | Sc Y La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Ac Th Pa U Np Pu Am
    Cm Bk Cf Es Fm Md No Lr
"""


def _table() -> np.ndarray:
    group = np.arange(119) + 100  # an element that is not listed is alone
    for place, symbols in enumerate(_GROUPS.split("|")):
        group[[NUMBERS[symbol] for symbol in symbols.split()]] = place
    number = np.arange(119)
    apart = np.abs(number[:, None] - number)
    return np.stack(
        [
            apart == 1,
            (apart == 2) | (apart == 3),
            group[:, None] == group,
            (number[:, None] == 1) | (number == 1),
        ],
        axis=-1,
    ).astype(np.float64)


LIKENESS = _table()
"""(119, 119, 4) 1 where the likeness of `LIKENESSES` holds between two atomic numbers, else 0."""
