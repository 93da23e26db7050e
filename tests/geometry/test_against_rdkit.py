"""RDKit knows the bonds of a SMILES and folds it into space. Here the former must be found in the latter."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from shapes import bonds_by_site, crystal

SMILES = [
    *("CCO", "C=CC=C", "C#CC", "N#CC#N", "CC(=O)C", "CC(=O)OC", "CC(N)=O", "C=C=C", "O=C=NC", "CN=NC"),
    *("c1ccccc1", "c1ccncc1", "c1cc[nH]c1", "c1ccoc1", "c1ccsc1", "c1c[nH]cn1", "c1ccc2ccccc2c1", "Cn1cnnn1"),
    *("c1ccc2[nH]ccc2c1", "c1cnc2ncncc2n1", "C1=CCCCC1", "C1CC1", "O=C1C=CC(=O)C=C1", "CC#Cc1ccccc1", "CSSC"),
    *(
        "CS(=O)(=O)C",
        "CS(C)=O",
        "C[Si](C)(C)C",
        "FC(F)(F)C",
        "ClC=C",
        "OB(O)c1ccccc1",
        "CP(C)(C)=O",
        "NC(N)=S",
    ),
    *("C1=CC=CC=CC=C1", "C=C1C=CC(=C)C=C1", "Oc1ccccc1N=Nc1ccccc1", "O=Cc1ccc(C#N)cc1", "C1CN2CCC1CC2"),
]


@pytest.mark.parametrize("smiles", SMILES)
def test_types_are_those_of_the_molecule(smiles: str) -> None:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(molecule, randomSeed=7) == 0
    AllChem.UFFOptimizeMolecule(molecule, maxIters=2000)
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    made = crystal(symbols, np.array(molecule.GetConformer().GetPositions()))
    expected: list[list[tuple[int, str]]] = [[] for _ in symbols]
    for bond in molecule.GetBonds():
        one, two, kind = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondType().name.lower()
        expected[one].append((two, kind))
        expected[two].append((one, kind))
    assert bonds_by_site(made) == [sorted(listed) for listed in expected]
