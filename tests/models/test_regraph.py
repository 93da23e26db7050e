"""A model's file written anew: the same answers, or no change."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from atomsight.errors import ModelError
from atomsight.models.masked_site.regraph import regraph
from atomsight.models.runtime import PRETRAINED
from atomsight.screen.plausibility.runtime import CELLS, PRESSED, WEIGHTS

FILES = [*sorted(PRETRAINED.glob("masked-site*.onnx")), WEIGHTS, CELLS, PRESSED]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_files_are_of_the_graph_of_today(file: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(file, tmp_path))
    before = onnx.load(copy)
    assert regraph(copy) < 1e-5
    after = onnx.load(copy)
    assert after.metadata_props == before.metadata_props
    assert [node.op_type for node in after.graph.node] == [node.op_type for node in before.graph.node]
    assert list(tmp_path.iterdir()) == [copy]


def test_a_graph_that_answers_otherwise_is_left_alone(tmp_path: Path) -> None:
    copy = Path(shutil.copy(FILES[0], tmp_path))
    model = onnx.load(copy)
    last = next(node for node in model.graph.node if node.output[0] == "logits")
    last.attribute.append(onnx.helper.make_attribute("alpha", 2.0))
    onnx.save(model, copy)
    held = copy.read_bytes()
    with pytest.raises(ModelError, match="answers otherwise"):
        regraph(copy)
    assert copy.read_bytes() == held
    assert list(tmp_path.iterdir()) == [copy]
