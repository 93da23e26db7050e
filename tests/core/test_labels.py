"""Labels in one buffer behave as a tuple of strings."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomsight.core.labels import Labels

words = st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=8)


@given(words)
def test_they_are_a_tuple(strings: list[str]) -> None:
    labels = Labels.of(strings)
    assert (len(labels), list(labels), tuple(labels)) == (len(strings), strings, tuple(strings))
    assert labels == tuple(strings)
    assert labels == Labels.of(strings)
    assert hash(labels) == hash(tuple(strings))
    assert repr(labels) == repr(tuple(strings))
    assert labels != (*strings, "more")
    assert [labels[i] for i in range(-len(strings), len(strings))] == strings * 2
    assert labels[1:3] == tuple(strings[1:3])
    with pytest.raises(IndexError):
        labels[len(strings)]


@given(words, st.integers(0, 8), st.integers(0, 8))
def test_a_part_of_a_buffer_stands_for_itself(strings: list[str], a: int, b: int) -> None:
    whole = Labels.of(strings)
    first, last = sorted((min(a, len(strings)), min(b, len(strings))))
    part = Labels(whole.data, whole.bounds[first : last + 1])
    assert list(part) == strings[first:last]
    again = pickle.loads(pickle.dumps(part))
    assert again == tuple(strings[first:last])
    assert len(again.data) == sum(len(string.encode()) for string in strings[first:last])
