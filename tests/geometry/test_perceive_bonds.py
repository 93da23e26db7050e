from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomsight.core.crystal import BOND_TYPES, Crystal
from atomsight.geometry.bonds import perceive_bonds
from atomsight.geometry.bonds.connect import bond_graph
from shapes import bonds_by_site, crystal, ring


def line(*spaced: str | float) -> Crystal:
    """Atoms on a line: symbols and the lengths between them in turn."""
    places = np.cumsum([0.0, *spaced[1::2]])
    return crystal([str(s) for s in spaced[::2]], np.column_stack([places, 0 * places, 0 * places]))


def kinds(made: Crystal) -> dict[tuple[int, int], str]:
    """The type of each bond by its sites, lower first."""
    return {
        (site, other): kind
        for site, listed in enumerate(bonds_by_site(made))
        for other, kind in listed
        if site <= other
    }


def test_benzene_carbons_have_three_neighbours() -> None:
    made = crystal(["C"] * 6 + ["H"] * 6, np.concatenate([ring(6, 1.39), ring(6, 2.48)]))
    for site, listed in enumerate(bonds_by_site(made)):
        want = ["aromatic", "aromatic", "single"] if site < 6 else ["single"]
        assert sorted(kind for _, kind in listed) == want


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (line("N", 1.10, "N"), "triple"),
        (line("O", 1.21, "O"), "double"),
        (line("C", 1.13, "O"), "triple"),
        (line("H", 1.06, "C", 1.20, "C", 1.06, "H"), "single triple single"),
        (line("H", 1.06, "C", 1.15, "N"), "single triple"),
        (line("O", 1.16, "C", 1.16, "O"), "double double"),
        (line("N", 1.17, "N", 1.17, "N"), "double double"),
        (line("S", 1.63, "C", 1.15, "N"), "single triple"),
        (
            line("H", 1.06, "C", 1.20, "C", 1.38, "C", 1.20, "C", 1.06, "H"),
            "single triple single triple single",
        ),
        (line("I", 2.92, "I", 2.92, "I"), "single single"),
        (line("O", 1.77, "U", 1.77, "O"), "double double"),
        (line("H", 0.74, "H"), "single"),
    ],
    ids=lambda value: "-".join(value.labels) if isinstance(value, Crystal) else None,
)
def test_bonds_of_straight_molecules(made: Crystal, expected: str) -> None:
    found = kinds(made)
    assert [found[i, i + 1] for i in range(made.n_sites - 1)] == expected.split()
    assert len(found) == made.n_sites - 1


def test_an_open_net_is_aromatic_without_a_molecule_to_cut() -> None:
    a = 1.42 * np.sqrt(3)
    lattice = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, 10]]
    graphene = crystal(["C", "C"], [[0, 0, 0], [0, 1.42, 0]], lattice)
    assert bonds_by_site(graphene) == [[(1, "aromatic")] * 3, [(0, "aromatic")] * 3]


def test_a_chain_that_closes_through_the_cell_is_no_ring() -> None:
    # Six sp2 carbons of a straight polyyne-like chain: in the cell's own graph they would form a hexagon.
    places = 1.39 * np.arange(6)
    chain = crystal(["C"] * 6, np.column_stack([places, 0 * places, 0 * places]), np.diag([6 * 1.39, 9, 9]))
    listed = bonds_by_site(chain)
    assert all(len(bonds) == 2 for bonds in listed)
    assert "aromatic" not in {kind for bonds in listed for _, kind in bonds}


def test_quinone_keeps_its_double_bonds() -> None:
    carbons = ring(6, 1.44)
    made = crystal(
        ["C"] * 6 + ["O", "H", "H", "O", "H", "H"], np.concatenate([carbons, carbons * 2.66 / 1.44])
    )
    listed = bonds_by_site(made)
    assert (6, "double") in listed[0]
    assert (9, "double") in listed[3]
    assert "aromatic" not in {kind for bonds in listed for _, kind in bonds}


def test_the_carbon_of_a_chelating_carboxylate_is_hidden_from_the_metal() -> None:
    made = crystal(
        ["Zn", "O", "O", "C", "H"], [[0, 0, 0], [1.7, 1.1, 0], [1.7, -1.1, 0], [2.33, 0, 0], [3.4, 0, 0]]
    )
    assert bonds_by_site(made)[0] == [(1, "single"), (2, "single")]
    assert bonds_by_site(made)[3] == [(1, "delocalised"), (2, "delocalised"), (4, "single")]


def test_ferrocene_binds_ten_carbons_side_on() -> None:
    rings = [ring(5, 1.21, 1.65), ring(5, 1.21, -1.65)]
    outer = [ring(5, 2.27, 1.65), ring(5, 2.27, -1.65)]
    made = crystal(["Fe"] + ["C"] * 10 + ["H"] * 10, np.concatenate([np.zeros((1, 3)), *rings, *outer]))
    listed = bonds_by_site(made)
    assert listed[0] == [(i, "pi") for i in range(1, 11)]
    assert Counter(kind for _, kind in listed[1]) == {"aromatic": 2, "single": 1, "pi": 1}


def test_quadruple_bond_between_molybdenums_alone() -> None:
    def dimer(metal: str, length: float) -> Crystal:
        corners = ring(4, 2.1, 0.35 + length / 2)
        both = np.concatenate([corners, corners * [1, 1, -1], [[0, 0, length / 2], [0, 0, -length / 2]]])
        return crystal(["Cl"] * 8 + [metal] * 2, both)

    assert kinds(dimer("Mo", 2.13))[8, 9] == "quadruple"
    assert kinds(dimer("Rh", 2.40))[8, 9] == "single"


def test_metals_held_together_by_oxygen_are_not_bonded() -> None:
    made = crystal(["Zr", "Zr", "O", "O"], [[0, 0, 0], [3.3, 0, 0], [1.65, 1.3, 0], [1.65, -1.3, 0]])
    assert (0, 1) not in kinds(made)
    assert len(kinds(made)) == 4


def test_bonds_of_a_metal_among_metals_have_no_type() -> None:
    copper = crystal(["Cu"], [[0, 0, 0]], 3.615 / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]))
    assert bonds_by_site(copper) == [[(0, "unknown")] * 12]


def test_hydrogen_keeps_one_partner_except_between_borons() -> None:
    strong = line("O", 1.20, "H", 1.25, "O")
    assert list(kinds(strong)) == [(0, 1)]
    assert list(kinds(line("B", 1.32, "H", 1.32, "B"))) == [(0, 1), (1, 2)]


def test_atoms_left_of_disorder_have_no_bond_type() -> None:
    assert kinds(line("C", 0.8, "C")) == {(0, 1): "unknown"}


def test_the_file_s_own_bonds_come_first() -> None:
    from dataclasses import replace

    made = line("N", 1.10, "N")
    found = perceive_bonds(made)
    stated = replace(found, types=np.array([2, 0], np.uint8))
    merged = perceive_bonds(replace(made, bonds=stated))
    assert [BOND_TYPES[t] for t in merged.types] == ["double", "triple"]
    listed = replace(stated, **{n: getattr(stated, n)[:1] for n in vars(stated)})
    assert len(perceive_bonds(replace(made, bonds=listed))) == 2
    assert [BOND_TYPES[t] for t in perceive_bonds(replace(made, bonds=stated), use_table=False).types] == [
        "triple",
        "triple",
    ]


elements = st.sampled_from([1, 5, 6, 6, 7, 8, 9, 14, 15, 16, 17, 26, 30, 42, 57])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_points_give_bonds_seen_from_both_ends(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 14))
    seed = data.draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    numbers = data.draw(st.lists(elements, min_size=n, max_size=n))
    made = Crystal(
        "random",
        np.eye(3) * data.draw(st.floats(2.5, 7)) + generator.normal(0, 0.3, (3, 3)),
        generator.random((n, 3)),
        np.array(numbers, np.uint8),
        np.arange(n, dtype=np.int32),
        tuple(map(str, range(n))),
    )
    bonds = perceive_bonds(made)
    ends = Counter()
    for site, atom, image, kind in zip(bonds.sites, bonds.atoms, bonds.images, bonds.types, strict=True):
        ends[int(site), int(atom), *image.tolist(), int(kind)] += 1
    assert ends == Counter({(b, a, *(-i for i in image), t): n for (a, b, *image, t), n in ends.items()})
    there = (made.fractional[bonds.atoms] + bonds.images - made.fractional[bonds.sites]) @ made.lattice
    np.testing.assert_allclose(np.linalg.norm(there, axis=1), bonds.lengths, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_bonds_do_not_depend_on_the_choice_of_cell(seed: int) -> None:
    generator = np.random.default_rng(seed)
    carbons, hydrogens = ring(6, 1.39), ring(6, 2.48)
    benzene = crystal(["C"] * 6 + ["H"] * 6, np.concatenate([carbons, hydrogens]), np.diag([7.0, 7.5, 4.0]))
    shift = generator.random(3)
    basis = np.array([[1, *generator.integers(-1, 2, 2)], [0, 1, generator.integers(-1, 2)], [0, 0, 1]])
    other = Crystal(
        "moved",
        basis @ benzene.lattice,
        ((benzene.fractional + shift) @ np.linalg.inv(basis)) % 1.0,
        benzene.numbers,
        benzene.orbits,
        benzene.labels,
    )
    assert bonds_by_site(other) == bonds_by_site(benzene)


def test_graph_finds_every_candidate_of_a_crowded_cell() -> None:
    # A cell much smaller than the bonds: the search must go on until the farthest candidate is found.
    tiny = crystal(["Cs"], [[0, 0, 0]], np.eye(3) * 2.2)
    graph = bond_graph(tiny)
    reach = graph.length.max()
    shells = np.array(np.meshgrid(*[np.arange(-4, 5)] * 3)).reshape(3, -1).T
    lengths = np.linalg.norm(shells * 2.2, axis=1)
    limit = 2 * 2.44 + 0.25
    assert len(graph.length) == ((lengths > 0) & (lengths <= limit)).sum()
    assert reach <= limit


def test_a_donor_hides_what_lies_behind_it() -> None:
    # A carboxylate that holds barium by both oxygens: its carbon is near enough for a bond, and has none.
    places = np.array([[0, 0, 0], [2.9, 0, 0], [2.4, 1.1, 0], [2.4, -1.1, 0]])
    chelate = crystal(["Ba", "C", "O", "O"], places, np.eye(3) * 20)
    graph = bond_graph(chelate)
    bonds = set(zip(graph.first.tolist(), graph.second.tolist(), strict=True))
    assert bonds == {(0, 2), (0, 3), (2, 0), (3, 0), (1, 2), (1, 3), (2, 1), (3, 1)}
    alone = crystal(["Ba", "C"], places[:2], np.eye(3) * 20)
    assert len(bond_graph(alone).first) == 2, "with no donor between them, the two are bonded"
