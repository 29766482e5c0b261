"""What a stranger's tokenizer may cost whoever reads it, and that the tokenizers of real models are within it."""

from __future__ import annotations

import json
import random
import shutil
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.base import rebuilding
from gradiend_ui.engine.errors import BadBase, GradiendUIError, TooLarge
from gradiend_ui.engine.uploads import tokenizer as tokenizer_check
from gradiend_ui.engine.uploads.trust import ARCHITECTURES
from tests.support.tiny_architectures import save_tiny

Change = Callable[[dict[str, Any]], object]


def changed(folder: Path, file: str, change: Change) -> None:
    path = folder / file
    content = json.loads(path.read_text()) if path.is_file() else {}
    change(content)
    path.write_text(json.dumps(content))


def token(number: int, text: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"id": number, "content": text, **flags}


def letters(count: int, length: int) -> list[str]:
    draw = random.Random(1)
    return ["".join(draw.choices(string.ascii_letters, k=length)) for _ in range(count)]


def built(raw: Path, tmp_path: Path, *, strangers: bool = True) -> None:
    rebuilding.build(raw, tmp_path / "clean", pickled=not strangers)


@pytest.fixture
def base(tiny_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert, tmp_path / "base"))


COSTLY: dict[str, tuple[str, Change]] = {
    "long added tokens": (
        "tokenizer.json",
        lambda one: one["added_tokens"].extend(token(500 + n, text) for n, text in enumerate(letters(600, 600))),
    ),
    "many added tokens": (
        "tokenizer.json",
        lambda one: one["added_tokens"].extend(token(500, f"q{n}") for n in range(10_001)),
    ),
    "wide added tokens": (
        "tokenizer.json",
        lambda one: one["added_tokens"].extend(token(500 + n, "\u4e00" * 300 + str(n)) for n in range(300)),
    ),
    "many words": (
        "tokenizer.json", lambda one: one["model"]["vocab"].update({f"zz{n}": n for n in range(500, 300_600)})
    ),
    "long words": (
        "tokenizer.json",
        lambda one: one["model"]["vocab"].update(dict.fromkeys(letters(700, 10_000), 500)),
    ),
    "many merges": ("tokenizer.json", lambda one: one["model"].update(merges=[["a", "b"]] * 700_001)),
    "numbered tokens": (
        "tokenizer_config.json",
        lambda one: one.update(added_tokens_decoder={str(500 + n): {"content": f"q{n}"} for n in range(10_001)}),
    ),
    "added tokens of their own file": (
        "added_tokens.json", lambda one: one.update({f"q{n}" * 60: 500 + n for n in range(1500)})
    ),
    "listed tokens": (
        "tokenizer_config.json", lambda one: one.update(extra_special_tokens=[f"q{n}" for n in range(1001)])
    ),
    "tokens by ever more roles": (
        "special_tokens_map.json", lambda one: one.update({f"q{n}_token": f"q{n}" for n in range(65)})
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", COSTLY)
def test_a_tokenizer_that_costs_more_than_a_models_is_refused_where_it_is_built(
    base: Path, tmp_path: Path, case: str
) -> None:
    changed(base, *COSTLY[case])
    with pytest.raises(TooLarge, match=COSTLY[case][0]) as told:
        built(base, tmp_path)
    assert "at most" in str(told.value)


def test_the_files_of_a_tokenizer_are_bounded_together(base: Path, tmp_path: Path) -> None:
    changed(base, "added_tokens.json", lambda one: one.update({f"a{n}": 500 + n for n in range(6000)}))
    more = {str(500 + n): {"content": f"b{n}"} for n in range(6000)}
    changed(base, "tokenizer_config.json", lambda one: one.update(added_tokens_decoder=more))
    with pytest.raises(TooLarge, match="together"):
        built(base, tmp_path)


def test_words_beyond_those_of_the_model_are_refused_where_it_is_built(base: Path, tmp_path: Path) -> None:
    """The worker would load them first and refuse then, again and again."""
    changed(base, "tokenizer.json", lambda one: one["model"]["vocab"].update({f"z{n}": n for n in range(900, 4000)}))
    with pytest.raises(BadBase, match="belongs to another model: it knows 4,000 tokens"):
        built(base, tmp_path)


def test_what_one_reading_costs_is_measured(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_check, "MOST_SECONDS", -1.0)
    with pytest.raises(TooLarge, match="tokenizer.json in 'the upload'|to read once"):
        built(base, tmp_path)
    shutil.rmtree(tmp_path / "clean")
    built(base, tmp_path, strangers=False)


def test_a_vocabulary_that_is_converted_is_bounded_like_any_other(base: Path, tmp_path: Path) -> None:
    words = list(json.loads((base / "tokenizer.json").read_text())["model"]["vocab"])
    (base / "tokenizer.json").unlink()
    (base / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    (base / "vocab.txt").write_text("\n".join([*words, *(f"z{n}" for n in range(4000))]))
    with pytest.raises(BadBase, match="belongs to another model"):
        built(base, tmp_path)


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_every_architecture_is_within_the_bounds(model_type: str, tmp_path: Path) -> None:
    built(save_tiny(model_type, tmp_path / "base"), tmp_path)


def test_the_largest_vocabulary_of_a_listed_model_is_within_the_bounds(tmp_path: Path) -> None:
    """As Gemma 3 has it: 262,144 words, 515,000 merges, 6,415 added tokens."""
    (tmp_path / "base").mkdir()
    pairs = ["".join(pair) for pair in ((a, b) for a in string.ascii_lowercase for b in string.ascii_lowercase)]
    words = [*string.ascii_lowercase, *pairs, *(a + b for a in pairs for b in pairs)][: 262_144 - 6415]
    merges = [[word[:cut], word[cut:]] for word in words for cut in (1, 2) if len(word) in (2, 4) and cut < len(word)]
    known = set(words)
    merges = [pair for pair in merges if pair[0] in known and pair[1] in known]
    merges = (merges + merges[:1] * 515_000)[:515_000]
    added = [token(len(words) + n, f"<unused{n}>") for n in range(6415)]
    content = {"version": "1.0", "added_tokens": added, "normalizer": None, "pre_tokenizer": None, "decoder": None,
               "post_processor": None, "truncation": None, "padding": None,
               "model": {"type": "BPE", "vocab": {w: n for n, w in enumerate(words)}, "merges": merges}}  # fmt: skip
    (tmp_path / "base/tokenizer.json").write_text(json.dumps(content))
    decoder = {str(one["id"]): {name: value for name, value in one.items() if name != "id"} for one in added}
    (tmp_path / "base/tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    tokenizer_check.check_words(tmp_path / "base/tokenizer.json", "tokenizer.json", known=262_144)
    tokenizer_check.check_added_files({"tokenizer_config.json": {"added_tokens_decoder": decoder}}, "'base'")


def test_an_owners_tokenizer_may_cost_what_it_does(base: Path, tmp_path: Path) -> None:
    changed(base, *COSTLY["many added tokens"])
    built(base, tmp_path, strangers=False)
    with pytest.raises(GradiendUIError):
        rebuilding.build(base, tmp_path / "other", pickled=False)
