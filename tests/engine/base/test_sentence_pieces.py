"""Tokenizers that are a SentencePiece file alone: read as the library reads them, or told what they need."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sentencepiece import SentencePieceProcessor
from transformers import (
    AutoTokenizer,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
)

from gradiend_ui.engine.base.loading import load_base_model, load_tokenizer
from gradiend_ui.engine.base.rebuilding import build
from gradiend_ui.engine.base.trouble import load_failure
from gradiend_ui.engine.errors import BadBase
from gradiend_ui.engine.export.checkpoint import export_checkpoint
from gradiend_ui.engine.export.model_card import Rewrite
from gradiend_ui.engine.files import sentence_pieces
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import Cell
from tests.support.tiny_gradiends import gradiend_on
from tests.support.tiny_models import POSITIONS, seeded
from tests.support.tiny_pieces import OF_FAMILY, save_pieces

SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
MODELS: dict[str, Callable[[int], Any]] = {
    "t5": lambda words: T5ForConditionalGeneration(
        T5Config(vocab_size=words, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=0)
    ),
    "umt5": lambda words: UMT5ForConditionalGeneration(
        UMT5Config(vocab_size=words, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=0)
    ),
    "deberta-v2": lambda words: DebertaV2ForMaskedLM(
        DebertaV2Config(vocab_size=words, max_position_embeddings=POSITIONS, pad_token_id=3, **SMALL)
    ),
    "llama": lambda words: LlamaForCausalLM(
        LlamaConfig(vocab_size=words, max_position_embeddings=POSITIONS, tie_word_embeddings=True, **SMALL)
    ),
}


@pytest.mark.parametrize("family", sorted(OF_FAMILY.keys() - {"umt5"}))
def test_a_sentence_piece_file_alone_is_read_as_the_library_reads_it(family: str, tmp_path: Path) -> None:
    folder = save_pieces(family, tmp_path / family)
    own, theirs = load_tokenizer(str(folder)), AutoTokenizer.from_pretrained(folder)
    assert own.get_vocab() == theirs.get_vocab()
    text = "she was kind, he sings."
    assert own(text)["input_ids"] == theirs(text)["input_ids"]
    assert "she" in own.decode(own(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("family", MODELS)
def test_a_base_with_such_a_tokenizer_is_rewritten_and_exported(family: str, tmp_path: Path) -> None:
    folder = save_pieces(family, tmp_path / "base")
    words = len(load_tokenizer(str(folder)))
    with seeded(3):
        MODELS[family](words).save_pretrained(folder)
    model = ModelWithGradiend.from_pretrained(gradiend_on(folder, tmp_path / "gradiend"))
    made = export_checkpoint(model, Rewrite(Cell(-1.0, 0.5), "decoder", {}), tmp_path / "out")
    again = load_base_model(str(made))
    assert again.encode(["she was kind"]) == model.base.encode(["she was kind"])
    expected = model.rewrite_base_model(0.5, -1.0).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.model.state_dict().items())


@pytest.mark.parametrize(
    ("missing", "packages"),
    [
        (("sentencepiece",), "sentencepiece"),
        (("google.protobuf",), "protobuf"),
        (("sentencepiece", "google.protobuf"), "sentencepiece protobuf"),
    ],
)
def test_what_is_not_installed_is_named(
    missing: tuple[str, ...], packages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_pieces("xlm-roberta", tmp_path / "base")
    there = importlib.util.find_spec
    monkeypatch.setattr(
        sentence_pieces.importlib.util, "find_spec", lambda name: None if name in missing else there(name)
    )
    with pytest.raises(BadBase, match=rf"SentencePiece file \(sentencepiece.bpe.model\).*pip install {packages}, or"):
        load_tokenizer(str(folder))


def test_a_package_in_a_package_that_is_missing_is_not_there() -> None:
    assert not sentence_pieces.is_installed("no_such_package.inside") and sentence_pieces.is_installed("json")


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, None])
def test_a_damaged_file_is_called_one(content: bytes | None, tmp_path: Path) -> None:
    folder = save_pieces("t5", tmp_path / "base")
    path = folder / "spiece.model"
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with pytest.raises(BadBase, match="spiece.model in 'base' is no whole SentencePiece model"):
        load_tokenizer(str(folder))


def test_the_class_that_its_settings_name_reads_what_the_library_s_choice_does_not(tmp_path: Path) -> None:
    """For umT5 transformers takes a class that reads tokenizer.json alone."""
    folder = save_pieces("umt5", tmp_path / "base")
    with pytest.raises(ValueError, match="backend tokenizer"):
        AutoTokenizer.from_pretrained(folder)
    own, pieces = load_tokenizer(str(folder)), SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    for text in ("she was kind, he sings.", "She  is\there", "x" * 20):
        assert own(text)["input_ids"] == [*pieces.encode(text), own.eos_token_id]


@pytest.mark.parametrize("stated", [{}, {"tokenizer_class": "NoSuchTokenizer"}])
def test_a_kind_of_model_for_which_the_library_makes_none_is_told(stated: dict[str, object], tmp_path: Path) -> None:
    folder = save_pieces("umt5", tmp_path / "base")
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    with pytest.raises(BadBase, match="no tokenizer of the files there for this kind of model: save it with tokenizer"):
        load_tokenizer(str(folder))


@pytest.mark.parametrize("model_type", ["xglm", "ernie"])
def test_a_vocabulary_that_the_class_does_not_read_is_told(model_type: str, tmp_path: Path) -> None:
    """transformers makes a tokenizer of special tokens alone then, to which every word is unknown."""
    folder = save_pieces("t5", tmp_path / "base")
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "tokenizer_config.json").write_text("{}")
    assert AutoTokenizer.from_pretrained(folder).tokenize("she")
    with pytest.raises(BadBase, match="knows no word: .* does not read the vocabulary") as caught:
        load_tokenizer(str(folder))
    assert caught.value.text is not None and caught.value.text[0] == "load.base_knows_no_word"


@pytest.mark.parametrize("model_type", ["marian", "m2m_100"])
def test_a_tokenizer_that_lacks_a_file_is_told_so(model_type: str, tmp_path: Path) -> None:
    folder = save_pieces("t5", tmp_path / "base")
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(BadBase, match="a file of it is missing or not whole: copy all files"):
        load_tokenizer(str(folder))


def test_a_tiktoken_file_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_pieces("llama", tmp_path / "base")
    (folder / "tokenizer.model").write_bytes(b"IQ== 0\nIg== 1\nIw== 2\n")
    monkeypatch.setattr(sentence_pieces, "is_installed", lambda module: False)
    with pytest.raises(BadBase, match=r"tiktoken file \(tokenizer.model\).*pip install tiktoken"):
        load_tokenizer(str(folder))


def test_beside_a_tokenizer_json_the_file_is_not_read(tiny_t5: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_t5, tmp_path / "base")
    (folder / "spiece.model").write_bytes(b"garbage")
    assert len(load_tokenizer(str(folder))) == len(load_tokenizer(str(tiny_t5)))


def test_strangers_bring_none_and_owners_do(tmp_path: Path) -> None:
    folder = save_pieces("t5", tmp_path / "base")
    with pytest.raises(BadBase, match="spiece.model: save it with its tokenizer.json"):
        build(folder, tmp_path / "strange", pickled=False)
    build(folder, tmp_path / "own", pickled=True)
    assert load_tokenizer(str(tmp_path / "own")).tokenize("she was kind")


@pytest.mark.parametrize(
    ("cause", "package"),
    [
        ("You need to install sacremoses to use XLMTokenizer. See there.", "sacremoses"),
        (
            "`tiktoken` is required to read a `tiktoken` file. Install it with `pip install tiktoken`.",
            "sentencepiece protobuf",
        ),
    ],
)
def test_the_library_that_a_class_needs_is_named(cause: str, package: str, tmp_path: Path) -> None:
    error = ValueError(cause)
    error.__cause__ = ImportError("not there")
    assert f"({package})" in load_failure(str(tmp_path), error, "tokenizer")
    assert f"pip install {package}." in load_failure("owner/name", error, "tokenizer")
