"""Tokens that look like a class's word and do not count as one are written with their mark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from gradiend_ui.engine.compare.names import TokenNames

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def roberta(tiny_roberta: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_roberta)


def test_marks_show_where_the_class_counts_another_entry(roberta: Any) -> None:
    vocabulary = roberta.get_vocab()
    marked = next(entry for entry in sorted(vocabulary) if entry[0] == "Ġ" and entry[1:].isalpha() and len(entry) > 2)
    token, word = vocabulary[marked], marked[1:]
    assert TokenNames(roberta, (word,), True).of(token) == word, "the word that is counted"
    assert TokenNames(roberta, (), True).of(token) == word and TokenNames(roberta, ("zzz",), False).of(token) == word
    counted = TokenNames(roberta, (word,), False)._counted
    shown = TokenNames(roberta, (word,), False).of(token)
    assert (shown == marked) is (token not in counted)


class Marking:
    """A vocabulary with both entries of a word, as the published ones have."""

    unk_token_id = None
    entries = ("she", "Ġshe", "Ġtree")

    def get_vocab(self) -> dict[str, int]:
        return {entry: number for number, entry in enumerate(self.entries)}

    def decode(self, ids: list[int]) -> str:
        return "".join(self.entries[number] for number in ids).replace("Ġ", " ")

    def convert_ids_to_tokens(self, token: int) -> str:
        return self.entries[token]


def test_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    for counted, shown in (({0}, ["she", "Ġshe", "tree"]), ({1}, ["…she", "she", "tree"])):
        names = TokenNames(Marking(), ("she",), True)  # type: ignore[arg-type]
        monkeypatch.setitem(names.__dict__, "_counted", frozenset(counted))
        assert [names.of(token) for token in range(3)] == shown
