"""Which kind a base is, over every architecture of the library's mappings, and what its config.json may say.

On one's own machine nothing that the library takes is refused; strangers' settings keep to what models have.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, BertConfig, FlaubertConfig, PreTrainedConfig, XLMConfig, XLNetConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_PRETRAINING_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from gradiend_ui.engine.base.base_model import chosen_objective, positions_of
from gradiend_ui.engine.base.files import check_config
from gradiend_ui.engine.base.kinds import kind_of, kinds_of
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.errors import BadBase
from gradiend_ui.engine.uploads.trust import ARCHITECTURES, LOCAL, public_trust

OF_KIND = {
    "masked": MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    "causal": MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "seq2seq": MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
}
MAPPINGS = (*OF_KIND.values(), MODEL_FOR_PRETRAINING_MAPPING_NAMES)
WITHOUT_DEFAULTS = {"gemma4_assistant"}
"""Their configuration cannot be made without a value: the library refuses its own defaults."""


@cache
def default_config(model_type: str) -> PreTrainedConfig:
    logging.disable(logging.WARNING)
    try:
        return CONFIG_MAPPING[model_type]()
    finally:
        logging.disable(logging.NOTSET)


def every_model_type() -> list[str]:
    return sorted({name for mapping in MAPPINGS for name in mapping} - WITHOUT_DEFAULTS)


def named(model_type: str, *architectures: str, **fields: Any) -> PreTrainedConfig:
    return CONFIG_MAPPING[model_type](architectures=list(architectures), **fields)


def written(config: PreTrainedConfig) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(config.to_json_string(use_diff=False))
    return content


def test_no_model_of_the_library_is_refused_for_its_settings_on_ones_own_machine() -> None:
    assert len(every_model_type()) > 250
    for model_type in every_model_type():
        check_config(written(default_config(model_type)), model_type, LOCAL)


def test_strangers_settings_of_the_models_that_they_may_bring_are_those_of_the_library() -> None:
    for model_type in sorted(ARCHITECTURES):
        check_config(written(default_config(model_type)), model_type, public_trust())


ODD: dict[str, dict[str, Any]] = {
    "a list of widths": {"intermediate_size": [64, 128]},
    "positions without end": {"max_position_embeddings": -1},
    "no positions": {"max_position_embeddings": None},
    "positions as a float": {"max_position_embeddings": 1200.0},
    "no types of tokens": {"type_vocab_size": 0},
    "heads of each stage": {"num_heads": [1, 2, 4, 8]},
    "400 layers": {"num_hidden_layers": 400},
    "a number beyond": {"bos_token_id": 2**40},
    "a model inside": {"text_config": {"intermediate_size": [64], "text_config": {"a": {"b": {"c": {"d": 1}}}}}},
}


@pytest.mark.parametrize("name", ODD)
def test_what_a_library_may_take_is_refused_to_strangers_alone(name: str) -> None:
    config = {"model_type": "bert", **ODD[name]}
    check_config(config, "own", LOCAL)
    if name not in ("no positions", "no types of tokens"):
        with pytest.raises(BadBase, match="config.json"):
            check_config(config, "strange", public_trust())


@pytest.mark.parametrize("field", ["num_hidden_layers", "encoder_layers"])
def test_no_more_layers_than_can_be_laid_out(field: str) -> None:
    with pytest.raises(BadBase, match=f"{field} must be at most 10,000 layers"):
        check_config({"model_type": "bert", field: 10**9}, "own", LOCAL)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_attention_heads": 0}, "num_attention_heads must be a whole number from 1"),
        ({"hidden_act": "gelu_of_tomorrow"}, "hidden_act must be one of"),
        ({"hidden_size": 33}, "cannot be loaded"),
    ],
)
def test_where_the_library_fails_the_odd_setting_is_named(
    tiny_bert: Path, tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    folder = shutil.copytree(tiny_bert, tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | fields))
    with pytest.raises(BadBase, match=words):
        load_base_model(str(folder))


@pytest.mark.parametrize("stated", ["int8", "torch.float32", {"": "float32"}, ["float32"], 5, None])
def test_a_dtype_that_is_none_is_not_read_where_another_is_asked_for(
    tiny_bert: Path, tmp_path: Path, stated: object
) -> None:
    """The library loads such a model with a dtype; its own tokenizers ask config.json again and fail for some."""
    folder = shutil.copytree(tiny_bert, tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": stated}))
    base = load_base_model(str(folder), tokenizer=str(tiny_bert))
    assert base.model.dtype == base.model.config.dtype == torch.float32


def architectures() -> Iterator[tuple[str, str]]:
    for mapping in MAPPINGS:
        yield from ((model_type, name) for model_type, name in mapping.items() if model_type not in WITHOUT_DEFAULTS)


def test_every_architecture_of_the_library_has_a_kind_or_a_sentence() -> None:
    """A kind is given only where the auto class of that kind takes the configuration."""
    refused = set()
    for model_type, name in architectures():
        config = default_config(model_type)
        config.architectures = [name]
        try:
            kind = kind_of(config, "base")
        except BadBase as error:
            refused.add(name)
            assert f"'base' ({name})" in str(error) and error.text is not None
            continue
        assert type(config).model_type in OF_KIND[kind] or model_type in OF_KIND[kind], (model_type, name, kind)
        if name.endswith("ForMaskedLM"):
            assert kind == "masked", name
        if name.endswith("ForCausalLM") and not getattr(config, "is_encoder_decoder", False):
            assert kind == "causal", name
    assert {"ElectraForPreTraining", "FunnelForPreTraining", "LlavaForConditionalGeneration"} <= refused
    masked = {name for model_type, name in MODEL_FOR_MASKED_LM_MAPPING_NAMES.items() if "Conditional" not in name}
    speech = {"WhisperForCausalLM", "MusicgenForCausalLM", "MusicgenMelodyForCausalLM"}
    assert not refused & (masked | set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()) - speech)


KINDS = {
    "AlbertForPreTraining": ("albert", "masked"),
    "BertForPreTraining": ("bert", "masked"),
    "BigBirdForPreTraining": ("big_bird", "masked"),
    "ErnieForPreTraining": ("ernie", "masked"),
    "FNetForPreTraining": ("fnet", "masked"),
    "MobileBertForPreTraining": ("mobilebert", "masked"),
    "ReformerForMaskedLM": ("reformer", "masked"),
    "ReformerModelWithLMHead": ("reformer", "causal"),
    "BertGenerationDecoder": ("bert-generation", "causal"),
    "BertLMHeadModel": ("bert", "causal"),
    "XLNetLMHeadModel": ("xlnet", "causal"),
    "XLMWithLMHeadModel": ("xlm", "masked"),
    "FlaubertWithLMHeadModel": ("flaubert", "masked"),
    "Gemma3nForConditionalGeneration": ("gemma3n", "causal"),
    "Gemma3ForConditionalGeneration": ("gemma3", "causal"),
    "T5ForConditionalGeneration": ("t5", "seq2seq"),
    "BartForConditionalGeneration": ("bart", "seq2seq"),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_of_what_has_no_telling_name(name: str) -> None:
    model_type, kind = KINDS[name]
    config = default_config(model_type)
    config.architectures = [name]
    assert kind_of(config, "base") == kind


@pytest.mark.parametrize(
    ("model_type", "name", "words"),
    [
        ("electra", "ElectraForPreTraining", "discriminator.*give the generator"),
        ("funnel", "FunnelForPreTraining", "discriminator.*give the generator"),
        ("llava", "LlavaForConditionalGeneration", r"images or sound.*language model inside it \(llama\)"),
        ("qwen2_audio", "Qwen2AudioForConditionalGeneration", r"images or sound.*inside it \(qwen2\)"),
        ("bert", "BertForSequenceClassification", "neither a masked nor a causal"),
        ("vit_mae", "ViTMAEForPreTraining", "neither a masked nor a causal"),
    ],
)
def test_what_is_no_language_model_is_told_what_to_give(model_type: str, name: str, words: str) -> None:
    with pytest.raises(BadBase, match=words):
        kind_of(named(model_type, name), "base")


@pytest.mark.parametrize(("kind", "name"), [(XLMConfig, "XLM"), (FlaubertConfig, "Flaubert")])
def test_one_class_for_two_kinds_is_told_apart_by_its_setting(kind: Any, name: str) -> None:
    """`gradiend` 0.2.3 asks both for the next token; a GRADIEND that says so is scored so."""
    config = kind(architectures=[f"{name}WithLMHeadModel"])
    assert kinds_of(config, "base") == ("masked", "causal")
    assert chosen_objective(config, "base") == "mlm_mask_token"
    assert chosen_objective(config, "base", "clm_next_token") == "clm_next_token"
    config.causal = True
    if name == "XLM":
        assert kinds_of(config, "base") == ("causal",)
    else:
        with pytest.raises(BadBase, match="neither a masked nor a causal"):
            kind_of(config, "base")


def test_another_masked_model_is_asked_for_no_next_token() -> None:
    with pytest.raises(BadBase, match="needs a causal language model"):
        chosen_objective(BertConfig(architectures=["BertForMaskedLM"]), "base", "clm_next_token")


class _Model(torch.nn.Module):
    """A configuration with a table of positions, as `positions_of` looks at it."""

    def __init__(self, config: PreTrainedConfig, padding: int | None) -> None:
        super().__init__()
        self.config = config
        self.position_embeddings = torch.nn.Embedding(64, 2, padding_idx=padding)


@pytest.mark.parametrize(
    ("config", "padding", "expected"),
    [
        (BertConfig(max_position_embeddings=64), None, 64),
        (BertConfig(max_position_embeddings=64), 1, 62),
        (BertConfig(max_position_embeddings=64), 0, 63),
        (XLNetConfig(), None, None),
        (default_config("t5"), None, None),
        (default_config("gemma3"), None, 131072),
        (default_config("led"), None, 16384),
        (default_config("mpt"), None, 2048),
    ],
)
def test_positions_are_counted_as_the_model_counts_them(
    config: PreTrainedConfig, padding: int | None, expected: int | None
) -> None:
    assert positions_of(_Model(config, padding)) == expected
