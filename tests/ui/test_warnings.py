"""Every warning that the engine can make has a code, and a text in each language of the page."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gradiend_ui.engine.answers.remarks import REMARKS, recognised, remark
from gradiend_ui.engine.checkpoint.companions import Companions
from gradiend_ui.engine.data.rows import EvalData
from gradiend_ui.engine.errors import BadData, GradiendUIError
from gradiend_ui.engine.worker import health_card
from gradiend_ui.ui.kit.remarks import told_remark
from gradiend_ui.ui.kit.words import Words, languages, places_of, texts_of

ENGINE = Path(__file__).parents[2] / "gradiend_ui" / "engine"
WORDED_FOR_THE_PAGE = {"boundary_padding", "boundary_unseen", "chat_prompt", "direction_open", "row_wise"}
"""These name an argument to scripts, and the widget of the same meaning to people."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ENGINE.rglob("*.py")):
        yield path.relative_to(ENGINE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def places(template: str) -> dict[str, str]:
    """A value for each place, none like another."""
    names = sorted({name for _, name, _, _ in string.Formatter().parse(template) if name})
    return {name: f"‹{name}›" for name in names}


def is_sentence(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def loose_sentences(tree: ast.Module) -> Iterator[int]:
    """The lines where a sentence becomes a warning without a code."""
    for node in ast.walk(tree):
        given: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            given = node.args if name in ("warnings", "notes") else []
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and target.id == "warnings":
                given = [part for part in ast.walk(node.value) if isinstance(part, ast.expr)]
        elif isinstance(node, ast.keyword) and node.arg == "warnings":
            given = [part for part in ast.walk(node.value) if isinstance(part, ast.expr)]
        elif isinstance(node, ast.FunctionDef) and node.name in ("warning", "warnings", "_warnings", "twin_warning"):
            ends = [part for part in ast.walk(node) if isinstance(part, ast.Return) and part.value is not None]
            adds = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
            given = [part.value for part in ends if part.value is not None]
            given += [one for part in adds if isinstance(part.func, ast.Attribute) for one in part.args]
        yield from (part.lineno for part in given if is_sentence(part) and " " in ast.unparse(part))


@pytest.mark.parametrize("language", languages())
def test_every_warning_has_a_text_in_each_language(language: str) -> None:
    told = {key.removeprefix("warnings."): text for key, text in texts_of(language).items() if key.startswith("warn")}
    assert sorted(told) == sorted(REMARKS)
    assert [code for code in REMARKS if places_of(told[code]) != places_of(REMARKS[code])] == []


def test_the_engine_makes_each_of_them_and_no_warning_without_a_code() -> None:
    named, loose = set[str](), list[str]()
    for file, tree in trees():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        for call in (one for one in calls if isinstance(one.func, ast.Name) and one.func.id == "remark"):
            code = call.args[0]
            if isinstance(code, ast.JoinedStr):  # the direction's codes
                named |= {one for one in REMARKS if one.startswith(ast.unparse(code).strip("f'\"").partition("{")[0])}
            else:
                named.add(ast.literal_eval(code))
        loose += [f"{file}:{line}" for line in loose_sentences(tree)]
    assert named == set(REMARKS)
    assert loose == []


@pytest.mark.parametrize("code", REMARKS)
def test_a_warning_is_found_again_by_its_sentence(code: str) -> None:
    values = places(REMARKS[code])
    assert recognised(remark(code, **values)) == (code, values)
    for language in languages():
        assert told_remark(remark(code, **values), Words(language)) == Words(language)(f"warnings.{code}", **values)


def test_the_page_says_what_scripts_read_and_names_its_own_widgets() -> None:
    english = texts_of("en")
    assert {code for code in REMARKS if english[f"warnings.{code}"] != REMARKS[code]} == WORDED_FOR_THE_PAGE
    for language in languages():
        texts = texts_of(language)
        label, choice = texts["sweep.token_boundary"].partition(" (")[0], texts["sweep.token_boundary_natural"]
        for code in ("boundary_padding", "boundary_unseen"):
            assert label in texts[f"warnings.{code}"] and choice in texts[f"warnings.{code}"]


def test_what_a_warning_quotes_is_told_in_the_language_too() -> None:
    german = Words("de")
    quoted = remark("twins_unseen", place=remark("base_folder"), read="a.safetensors", other="b.bin", taken="a.safet.")
    assert told_remark(quoted, german).startswith("Der Ordner des Basismodells enthält Gewichte doppelt")
    ignored = told_remark(remark("file_ignored", why="training.json must hold a JSON object."), german)
    assert "must hold" not in ignored and "training.json" in ignored
    own = "Somebody's own sentence, of an extension."
    assert told_remark(own, german) == own


def test_a_word_beyond_the_embedding_is_warned_of_when_the_model_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    beyond = BadData("The word 'x' has the token 9.").known_as("data.word_beyond")
    loaded: Any = SimpleNamespace(model=None, companions=Companions(rows=EvalData(())))

    def refuse(error: GradiendUIError) -> None:
        def prepare(*_: object) -> None:
            raise error

        monkeypatch.setattr(health_card, "prepare", prepare)

    refuse(beyond)
    assert health_card.probe(loaded) == (None, (str(beyond),))
    refuse(BadData("What the card says already."))
    assert health_card.probe(loaded) == (None, ())
