"""Step Compare: answers and what is missing."""

from __future__ import annotations

from gradiend_ui.ui.compare import panel as compare
from gradiend_ui.ui.tree import text_of


def test_answers_pair_the_tokens_of_both_models(session) -> None:
    tree = compare.compare(
        session, "run-1", {"feature_factor": -1.0, "learning_rate": 0.2}, "the nurse said [MASK].\n\n"
    )
    text = text_of(tree)
    assert session.calls[-1][3] == ["the nurse said [MASK]."]
    assert "rewritten at (−1, 0.2)" in text
    assert "she 0.100 0.900 +0.800" in text


def test_unknown_probabilities_stay_unknown() -> None:
    base = [{"token": "he", "id": 1, "p": 0.8, "change": 0.0}]
    here = [{"token": "she", "id": 2, "p": 0.9, "change": 0.8}]
    pairs = compare.pair_tokens(base, here)
    assert pairs[0][0] == "she"
    assert abs((pairs[0][1] or 0) - 0.1) < 1e-12
    assert pairs[1] == ("he", 0.8, None)


def test_compare_says_what_is_missing(session) -> None:
    cell = {"feature_factor": -1.0, "learning_rate": 0.2}
    assert "Start the sweep" in text_of(compare.compare(session, "", cell, "a [MASK]"))
    assert "Write a sentence" in text_of(compare.compare(session, "run-1", cell, " \n"))
    assert "has no [MASK]" in text_of(compare.compare(session, "run-1", cell, "no mask"))
    assert "20 is the limit" in text_of(compare.compare(session, "run-1", cell, "a [MASK]\n" * 21))
