"""Real SentencePiece models, trained in a moment on the texts of the tiny models, with the names that families use."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceTrainer

from tests.support.tiny_text import build_neutral_texts, build_sentences

OF_FAMILY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "t5": ("spiece.model", "T5Tokenizer", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "mt5": ("spiece.model", "T5Tokenizer", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "umt5": ("spiece.model", "T5Tokenizer", {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}),
    "albert": (
        "spiece.model",
        "AlbertTokenizer",
        {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]},
    ),
    "xlnet": ("spiece.model", "XLNetTokenizer", {}),
    "deberta-v2": ("spm.model", "DebertaV2Tokenizer", {"control_symbols": ["[CLS]", "[SEP]"], "pad_id": 3}),
    "xlm-roberta": ("sentencepiece.bpe.model", "XLMRobertaTokenizer", {}),
    "camembert": ("sentencepiece.bpe.model", "CamembertTokenizer", {}),
    "mbart": ("sentencepiece.bpe.model", "MBartTokenizer", {}),
    "big_bird": ("spiece.model", "BigBirdTokenizer", {}),
    "llama": ("tokenizer.model", "LlamaTokenizer", {"model_type": "bpe", "byte_fallback": True}),
    "gemma": ("tokenizer.model", "GemmaTokenizer", {"model_type": "bpe", "byte_fallback": True, "pad_id": 3}),
}
"""{model_type: (file, the class that its tokenizer_config.json names, settings of the trainer)}."""


def trained_pieces(**settings: Any) -> bytes:
    """A SentencePiece model with whole words such as "she" in it."""
    texts = [sentence.text for sentence in build_sentences(300)] + build_neutral_texts(100, seed=41)
    made = io.BytesIO()
    defaults = {"model_type": "unigram", "vocab_size": 520, "hard_vocab_limit": False, "minloglevel": 2}
    bpe = {"hard_vocab_limit": True} if settings.get("model_type") == "bpe" else {}
    symbols = {"user_defined_symbols": ["▁she", "▁he"]} if settings.get("model_type") != "bpe" else {}
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=made, num_threads=1, **defaults | bpe | symbols | settings
    )
    return made.getvalue()


def save_pieces(model_type: str, folder: Path) -> Path:
    """The tokenizer of this family as a SentencePiece file alone, beside a config.json that says its kind only."""
    file, stated, settings = OF_FAMILY[model_type]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(trained_pieces(**settings))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": stated}))
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return folder
