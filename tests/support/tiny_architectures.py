"""A tiny random model with a tokenizer.json of every architecture that strangers may bring (see `uploads.trust`).

The settings are made from each configuration's own defaults, made small; the tokenizer is of the kind, and bears the
class name, that the architecture's models have.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, normalizers
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

from tests.support import tiny_models
from tests.support.charsmaps import real_charsmap
from tests.support.tiny_models import POSITIONS

SMALL: dict[str, Any] = {
    "hidden_size": 32, "n_embd": 32, "d_model": 32, "dim": 32, "embedding_size": 32, "word_embed_proj_dim": 32,
    "intermediate_size": 64, "hidden_dim": 64, "d_ff": 64, "d_kv": 16, "ffn_dim": 64, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64, "n_inner": 64, "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2,
    "num_decoder_layers": 2, "encoder_layers": 2, "decoder_layers": 2, "num_attention_heads": 2, "n_head": 2,
    "n_heads": 2, "num_heads": 2, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_key_value_heads": 2,
    "head_dim": 16, "global_head_dim": 16, "max_position_embeddings": 4 * POSITIONS + 2, "n_positions": POSITIONS,
    "pooler_hidden_size": 32, "query_pre_attn_scalar": 16, "attention_types": [[["global", "local"], 1]],
}  # fmt: skip
MASKED = ("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "eurobert", "modernbert",
          "roberta", "xlm-roberta")  # fmt: skip
SEQ2SEQ = ("bart", "mbart", "mt5", "t5", "umt5")
SPARE = 24
"""Rows of the embedding for tokens that a tokenizer's class adds by itself."""
WORD_PIECES = ("bert", "distilbert", "electra")
PIECES = ("albert", "camembert", "deberta-v2", "mbart", "mt5", "t5", "umt5", "xlm-roberta")


def save_tiny(model_type: str, folder: Path) -> Path:
    """Save a random model and tokenizer of this kind at `folder`."""
    tokenizer = _tokenizer(model_type)
    kind = CONFIG_MAPPING[model_type]
    defaults = kind().to_dict()
    known = {name: value for name, value in SMALL.items() if name in defaults or name in kind.attribute_map}
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    ids = {name: number for name, number in ids.items() if number is not None}
    start = {"decoder_start_token_id": ids["pad_token_id"]} if model_type in SEQ2SEQ else {}
    with tiny_models.seeded(7):
        config = kind(**known, **ids, **start, vocab_size=len(tokenizer) + SPARE)
        auto: Any = AutoModelForMaskedLM if model_type in MASKED else AutoModelForCausalLM
        model = (AutoModelForSeq2SeqLM if model_type in SEQ2SEQ else auto).from_config(config).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    stated = TOKENIZER_MAPPING_NAMES.get(model_type)
    if stated not in (None, "TokenizersBackend", "MistralCommonBackend"):
        path = folder / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": stated}))
    return folder


def _tokenizer(model_type: str) -> Any:
    if model_type in WORD_PIECES:
        return tiny_models.build_wordpiece_tokenizer()
    if model_type in PIECES:
        tokenizer = tiny_models.build_unigram_tokenizer()
        tokenizer.backend_tokenizer.normalizer = _normalizer(model_type)
        if model_type == "albert":
            return _with_own_marks(tokenizer)
        if model_type in MASKED:
            tokenizer.add_special_tokens({"mask_token": "<mask>"})
        return tokenizer
    make: Callable[[], Any] = (
        tiny_models.build_masked_byte_level_tokenizer
        if model_type in (*MASKED, *SEQ2SEQ) or model_type.startswith("gemma")
        else tiny_models.build_llama_tokenizer
    )
    return make()


def _normalizer(model_type: str) -> Any:
    """Made of a table of characters, with the steps around it that the models of this kind have."""
    table = normalizers.Precompiled(base64.b64decode(real_charsmap()))
    spaces = {
        "t5": ("\u2581",), "umt5": ("\u2581",), "mt5": (), "xlm-roberta": (" ",), "mbart": (" ",), "camembert": (),
        "deberta-v2": (), "albert": (),
    }  # fmt: skip
    steps = [table, *(normalizers.Replace(Regex(" {2,}"), space) for space in spaces[model_type])]
    if model_type == "albert":
        quotes = [normalizers.Replace(mark, '"') for mark in ("``", "''")]
        steps = [*quotes, normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), *steps]
    if model_type == "deberta-v2":
        steps = [normalizers.Strip(), *steps]
    return normalizers.Sequence(steps) if len(steps) > 1 else table


def _with_own_marks(tokenizer: Any) -> Any:
    """The same words and ALBERT's marks, which its class looks up in the vocabulary itself."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    marks = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    backend["model"]["vocab"] += [[mark, 0.0] for mark in marks.values()]
    backend["added_tokens"] = []
    made = Tokenizer.from_str(json.dumps(backend))
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", **marks)
