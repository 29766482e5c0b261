"""Step Compare: columns and pins, answers as trees, sentences to begin with, numbers to take away."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gradiend_ui.engine.errors import BadData
from gradiend_ui.ui.compare import answers as examples
from gradiend_ui.ui.compare import asking, panel
from gradiend_ui.ui.compare import columns as numbers
from gradiend_ui.ui.compare.answers import build_answers
from gradiend_ui.ui.compare.columns import build_key, columns_of, toggled, without
from gradiend_ui.ui.kit.tree import Node, text_of
from gradiend_ui.ui.kit.viewer import Viewers
from gradiend_ui.ui.kit.words import Words

CELL = {"feature_factor": -1.0, "learning_rate": 0.2}
A, B, C, D = (-1.0, 0.2), (-1.0, 0.5), (1.0, 0.1), (1.0, 0.2)
ELSEWHERE = {"feature_factor": 1.0, "learning_rate": 5.0}


def nodes(tree: Node | str) -> Iterator[Node]:
    if isinstance(tree, str):
        return
    yield tree
    for child in tree["children"]:
        yield from nodes(child)


def asked(text: str, pinned: tuple[tuple[float, float], ...] = (), run: str = "run-1") -> asking.Question:
    return asking.question(run, "ck-1", pinned, CELL, text)


# --- columns and pins ------------------------------------------------------------------------------------------------


def test_pinned_cells_come_first_and_the_selected_one_where_there_is_room() -> None:
    assert [(c.cell, c.letter, c.is_selected) for c in columns_of((), CELL)] == [(A, "", True)]
    assert [(c.cell, c.letter, c.is_selected) for c in columns_of((B, A), CELL)] == [(B, "A", False), (A, "B", True)]
    assert [c.letter for c in columns_of((B, C), CELL)] == ["A", "B", ""]
    assert [c.cell for c in columns_of((A, B, C, D), ELSEWHERE)] == [A, B, C, D]
    assert columns_of((), None) == ()
    assert len({c.style for c in columns_of((B, C, D), CELL)}) == 4


def test_pins_are_toggled_and_taken_away() -> None:
    assert toggled((), A) == (A,)
    assert toggled((A, B), A) == (B,)
    assert toggled((A, B, C, D), (9.0, 9.0)) == (A, B, C, D)
    key = build_key(columns_of((A, B), CELL), (A, B), CELL, Words("en"))
    presses = [n["attributes"]["data-pick"] for n in nodes(key) if n["tag"] == "button"]
    assert [without((A, B), press) for press in presses] == [(B,), (A,), ()]
    assert without((A, B), "nonsense") == (A, B)
    labels = [n["attributes"].get("aria-label") for n in nodes(key) if n["tag"] == "button"]
    assert labels[:2] == ["Unpin A (−1, 0.2)", "Unpin B (−1, 0.5)"]


def test_pins_stay_with_their_run() -> None:
    viewers = Viewers()
    viewers.change("page", run="one", pinned=(A,))
    assert viewers.change("page", chosen=B).pinned == (A,)
    assert viewers.change("page", run="one").pinned == (A,)
    assert viewers.change("page", run="two").pinned == ()
    assert viewers.get("another page").pinned == ()


def test_a_selected_cell_without_a_column_is_told(session, words) -> None:
    full = asking.question("run-1", "ck-1", (A, B, C, D), ELSEWHERE, "a [MASK]")
    assert "4 cells are pinned" in text_of(asking.compare(session, full, words))
    assert len(session.calls[-1][2]) == 4
    assert "are pinned" not in text_of(asking.compare(session, asked("a [MASK]", (A, B, C, D)), words))


def test_rows_that_the_sweep_reads_behind_padding_are_told(session, words, monkeypatch) -> None:
    question = asked("a [MASK]", (A,))
    plain = text_of(asking.compare(session, question, words))
    answer = asking.answers_to(session, question)
    monkeypatch.setattr(asking, "answers_to", lambda *_: {**answer, "behind_padding": 29})
    assert "29 rows are read as the reference reads them" in text_of(asking.compare(session, question, words))
    assert "behind padding" not in plain


# --- answers ---------------------------------------------------------------------------------------------------------


def test_one_cell_stands_beside_the_base(session, words) -> None:
    tree = asking.compare(session, asked("the nurse said [MASK].\n\n"), words)
    assert session.calls[-1] == (
        "compare",
        "run-1",
        [CELL],
        ["the nurse said [MASK]."],
        {"top_k": 8, "skip_bad": True},
    )
    text = text_of(tree)
    assert "she 0.100 0.900 +0.800" in text
    assert "it 0.010 0.050 +0.040" in text, "a word that only one model lists has its number in both"
    assert tree["attributes"]["data-cell"] == "(−1, 0.2)"


def test_several_cells_have_a_column_each(session, words) -> None:
    tree = asking.compare(session, asked("[MASK] saw [MASK].", (B, C)), words)
    heads = [text_of(n) for n in nodes(tree) if n["tag"] == "th" and n["attributes"].get("scope") == "col"]
    assert heads == ["word", "base", "A", "B", "here"] * 2
    assert "[MASK] 1 of 2" in text_of(tree) and "[MASK] 2 of 2" in text_of(tree)
    rows = [n for n in nodes(tree) if n["tag"] == "tr"]
    assert {len(row["children"]) for row in rows} == {5}
    bars = {n["attributes"]["class"] for n in nodes(tree) if "pbar" in n["attributes"].get("class", "")}
    assert bars == {"pbar base", "pbar pin-a", "pbar pin-b", "pbar here"}


def test_before_a_sweep_the_base_answers_alone(session, words) -> None:
    tree = asking.compare(session, asked("a [MASK]", (B,), run=""), words)
    assert session.calls[-1][:3] == ("compare", "ck-1", [])
    text = text_of(tree)
    assert "he 0.800" in text and "0.900" not in text
    assert tree["attributes"]["data-cell"] == ""


def test_every_number_is_explained(session, words) -> None:
    for pinned in ((), (B, C)):
        tree = asking.compare(session, asked("a [MASK]\nb [MASK]", pinned), words)
        heads = [n for n in nodes(tree) if n["tag"] == "th" and n["attributes"].get("scope") == "col"]
        assert all(h["attributes"].get("class") == "bars" or h["children"][0]["attributes"]["data-tip"] for h in heads)
        stops = [n for n in nodes(tree) if n["tag"] == "span" and n["attributes"].get("tabindex") == "0"]
        assert 3 <= len(stops) <= 6, "only the first table's heads are tab stops"


def test_a_bad_sentence_leaves_the_others_alone(words) -> None:
    answer = {
        "texts": [{"text": "no mask", "masks": [], "error": "Sentence 1 has no [MASK]."}, mask_answer("a [MASK]")]
    }
    text = text_of(build_answers(answer, columns_of((), CELL), words, selected="", tabs=""))
    assert "Not answered. Sentence 1 has no [MASK]." in " ".join(text.split())
    assert "she 0.100 0.900" in text


def test_what_is_missing_is_said(session, words) -> None:
    assert "Load a model" in text_of(asking.compare(session, asking.question("", "", (), None, "a [MASK]"), words))
    assert "Write a sentence" in text_of(asking.compare(session, asked(" \n"), words))
    many = asking.compare(session, asked("a [MASK]\n" * 21), words)
    assert "20 is the limit" in text_of(many)
    assert len(session.calls[-1][3]) == 20


def test_a_refusal_is_a_sentence(session, words, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any) -> None:
        raise BadData("The checkpoint changed.")

    monkeypatch.setattr(session, "compare", refuse)
    tree = asking.compare(session, asked("a [MASK]"), words)
    assert text_of(tree) == "The checkpoint changed."
    assert tree["children"][0]["attributes"]["class"] == "danger"


def test_user_text_stays_text(words) -> None:
    tree = build_answers({"texts": [mask_answer("<b>x</b> [MASK]")]}, (), words, selected="", tabs="<i>")
    texts = [child for n in nodes(tree) for child in n["children"] if isinstance(child, str)]
    assert "<b>x</b> " in texts


def mask_answer(text: str, cells: int = 1) -> dict[str, Any]:
    here = {"feature_factor": -1.0, "learning_rate": 0.2, "top": [], "classes": {"M": 0.04, "F": 0.9}}
    tokens = [{"token": "she", "id": 2, "base": 0.1, "cells": [0.9] * cells}]
    base = {"top": [], "classes": {"M": 0.8, "F": None}}
    return {"text": text, "masks": [{"position": 0, "base": base, "cells": [here] * cells, "tokens": tokens}]}


# --- continuations ---------------------------------------------------------------------------------------------------


def said(*pieces: tuple[str, bool], ended: bool = False) -> dict[str, Any]:
    tokens = [{"text": text, "id": n, "changed": changed} for n, (text, changed) in enumerate(pieces)]
    return {"text": "".join(text for text, _ in pieces), "tokens": tokens, "ended": ended}


def continued() -> dict[str, Any]:
    item = mask_answer("mary was")
    item["continuation"] = {
        "base": said((" late", False), (" .", False)),
        "cells": [said((" very", True), (" early", True), (" .", False), ended=True)],
    }
    return {"texts": [item]}


def test_changed_tokens_are_marked_as_inserted_text(words) -> None:
    tree = build_answers(continued(), columns_of((), CELL), words, selected="", tabs="")
    marked = [text_of(n) for n in nodes(tree) if n["tag"] == "ins"]
    assert marked == [" very early"]
    rows = [n for n in nodes(tree) if n["tag"] == "dd"]
    assert [text_of(row).replace("  ", " ") for row in rows] == [" late .", " very early . (end)"]


def test_a_model_that_says_nothing_says_so(words) -> None:
    answer = continued()
    answer["texts"][0]["continuation"]["cells"] = [{**said(), "reason": "not finite"}]
    text = text_of(build_answers(answer, columns_of((), CELL), words, selected="", tabs=""))
    assert "says nothing" in text and "not finite" in text


def test_only_models_that_continue_are_asked_to(session, words, card, monkeypatch: pytest.MonkeyPatch) -> None:
    for objective, tokens in (("mlm_mask_token", None), ("clm_next_token", 12), ("seq2seq_encoder_mlm", 12)):
        monkeypatch.setattr(session, "card", lambda _handle, objective=objective: {**card, "objective": objective})
        asking.compare(session, asked("a [MASK]"), words)
        assert session.calls[-1][4].get("continuation") == tokens


# --- examples --------------------------------------------------------------------------------------------------------


def test_examples_fit_the_objective(card, words) -> None:
    masked = {**card, "objective": "mlm_mask_token"}
    causal = {**card, "objective": "clm_next_token", "examples": ["the nurse said [MASK] slept.", "[MASK] slept."]}
    assert examples.first_sentences(masked).splitlines() == card["examples"][:3]
    assert examples.first_sentences(causal) == "the nurse said"
    for name in (examples.FROM_DATA, examples.ENGLISH, examples.GERMAN):
        assert all("[MASK]" in line for line in examples.example_text(name, masked).splitlines())
        lines = examples.example_text(name, causal).splitlines()
        assert lines and not any("[MASK]" in line for line in lines)
    several = examples.example_text(examples.SEVERAL_MASKS, masked).splitlines()
    assert [line.count("[MASK]") for line in several] == [2, 2]
    names = [
        [name for _, name in examples.choices_of(objective, words)]
        for objective in ("mlm_mask_token", "clm_next_token")
    ]
    assert examples.SEVERAL_MASKS in names[0] and examples.SEVERAL_MASKS not in names[1]


def test_opening_fills_every_widget(card, words) -> None:
    values = panel.opened_values(card, None, words)
    widgets = panel.CompareWidgets(*panel.CompareWidgets.__dataclass_fields__)
    assert len(values) == len(panel.opened_outputs(widgets))
    assert values[0].count("\n") == 2


# --- numbers to take away --------------------------------------------------------------------------------------------


def test_the_csv_holds_every_number(session) -> None:
    question = asked("the nurse said [MASK].\na [MASK]", (B,))
    rows = list(csv.reader(io.StringIO(asking.comparison_csv(session, question))))
    assert rows[0][-4:] == ["A (-1, 0.5)", "change A (-1, 0.5)", "(-1, 0.2)", "change (-1, 0.2)"]
    assert {len(row) for row in rows} == {11}
    assert ["1", "the nurse said [MASK].", "1", "class", "F", "", "0.1", "0.9", "0.8", "0.9", "0.8"] in rows
    assert ["2", "a [MASK]", "1", "token", "she", "2", "0.1", "0.9", "0.8", "0.9", "0.8"] in rows
    assert len(rows) == 1 + 2 * (2 + 3)


def test_continuations_and_refusals_are_lines_too() -> None:
    answer = {"texts": [*continued()["texts"], {"text": "x", "masks": [], "error": "Sentence 2 has no [MASK]."}]}
    lines = numbers.table(answer, columns_of((), CELL))
    assert [line[3] for line in lines[1:]] == ["class", "class", "token", "continuation", "error"]
    assert lines[4][6:] == [" late .", " very early .", None]
    assert lines[2][6:] == [None, 0.9, None], "what is not known has no change"


def test_nothing_becomes_a_formula_in_a_spreadsheet() -> None:
    lines: list[numbers.Line] = [["=1+1", "+x", "-y", "@z", "a\tb\nc", -0.5, None, 3]]
    (row,) = csv.reader(io.StringIO(numbers.as_csv(lines)))
    assert row == ["'=1+1", "'+x", "'-y", "'@z", "a\tb\nc", "-0.5", "", "3"]
    assert numbers.as_tabs([[" = x"]]) == "'= x"
    assert numbers.as_tabs(lines) == "'=1+1\t'+x\t'-y\t'@z\ta b c\t-0.5\t\t3"


def test_the_copied_text_is_what_is_shown(session, words) -> None:
    tree = asking.compare(session, asked("a [MASK]"), words)
    lines = tree["attributes"]["data-tabs"].splitlines()
    assert lines[0].startswith("sentence_number\tsentence")
    assert {line.count("\t") for line in lines} == {8}
    script = panel.copy_script(words)
    assert json.dumps(json.dumps(panel.build_told("Copied, ready to paste."))) in script
