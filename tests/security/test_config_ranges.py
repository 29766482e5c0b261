"""Numbers in a stranger's config.json: what no weights need is refused before a model is built, what models say is not.

`python -m tests.programs.config_numbers` tries every number of every architecture; here are a few of each kind.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from gradiend_ui.engine.base import mask_head
from gradiend_ui.engine.base.files import STRANGERS_LAYERS
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.base.rebuilding import build
from gradiend_ui.engine.compare.continuation import continue_texts
from gradiend_ui.engine.errors import BadBase
from gradiend_ui.engine.files.safetensors_header import TensorInfo
from gradiend_ui.engine.scoring.readout import Batch, Readout
from gradiend_ui.engine.uploads.settings import check_ranges
from gradiend_ui.engine.uploads.trust import ARCHITECTURES, LOCAL, public_trust
from tests.support.tiny_architectures import MASKED, SEQ2SEQ, save_tiny

Saved = Callable[..., Path]
TOO_LARGE: dict[str, tuple[str, dict[str, Any]]] = {
    "labels": ("bert", {"num_labels": 5000, "id2label": None, "label2id": None}),
    "no labels": ("bert", {"num_labels": -1}),
    "groups of layers": ("albert", {"num_hidden_groups": 65}),
    "layers of a group": ("albert", {"inner_group_num": 1000}),
    "layers written as pairs": ("gpt_neo", {"attention_types": [[["global", "local"], 33]], "attention_layers": None}),
    "pairs that are none": ("gpt_neo", {"attention_types": [["global", 2]], "attention_layers": None}),
    "a fraction in a setting": ("phi", {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 1.5}}),
    "a fraction": ("gpt_neox", {"rotary_pct": 3e6}),
    "a fraction below": ("bert", {"hidden_dropout_prob": -1}),
    "positions that no table has": ("distilbert", {"sinusoidal_pos_embds": True, "max_position_embeddings": 5000}),
    "positions": ("llama", {"max_position_embeddings": 2**25}),
    "a window": ("mistral", {"sliding_window": 10**8}),
    "a width": ("llama", {"head_dim": 100_000}),
    "a width in a float": ("opt", {"ffn_dim": 1e7}),
    "a base": ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": -1.0}}),
    "a number in a list": ("smollm3", {"no_rope_layers": [0, 70_000]}),
}


def changed(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.fixture
def upload(tmp_path: Path) -> Saved:
    """upload(model_type, **fields of its config.json): what a stranger's model is after it was taken in."""

    def saved(model_type: str, **fields: Any) -> Path:
        changed(save_tiny(model_type, tmp_path / "raw"), **fields)
        build(tmp_path / "raw", tmp_path / "home", pickled=False)
        return tmp_path / "home"

    return saved


def loaded(folder: Path) -> Any:
    return load_base_model(str(folder), trust=public_trust().within(folder.parent))


@pytest.mark.parametrize("case", TOO_LARGE)
def test_what_no_weights_need_is_refused_before_a_model_is_built(
    case: str, upload: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_type, fields = TOO_LARGE[case]

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the configuration was read by transformers")

    folder = upload(model_type, **fields)
    monkeypatch.setattr("gradiend_ui.engine.base.loading.AutoConfig.from_pretrained", never)
    with pytest.raises(BadBase, match=f"config.json of the base model 'home': .*{list(fields)[0]}"):
        loaded(folder)


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_what_models_of_full_size_say_is_not(model_type: str) -> None:
    config = CONFIG_MAPPING[model_type]()
    config.architectures = None
    auto: Any = AutoModelForMaskedLM if model_type in MASKED else AutoModelForCausalLM
    with torch.device("meta"):
        model = (AutoModelForSeq2SeqLM if model_type in SEQ2SEQ else auto).from_config(config)
    stored = [TensorInfo("F32", tuple(tensor.shape)) for tensor in model.state_dict().values()]
    check_ranges(config.to_dict(), stored, STRANGERS_LAYERS, "config.json")


PUBLISHED: dict[str, dict[str, Any]] = {
    "Llama 3, for long texts": {"rope_theta": 2_804_339_835.0},
    "Llama 3.2": {"rope_theta": 500000.0, "max_position_embeddings": 131072, "rope_scaling": {
        "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
        "rope_type": "llama3"}, "pretraining_tp": 1, "eos_token_id": [128001, 128008, 128009], "head_dim": 64},
    "Qwen 2.5": {"rope_theta": 10_000_000.0, "max_window_layers": 70, "sliding_window": 131072, "bos_token_id": 151643},
    "Gemma 3": {"rope_local_base_freq": 10000, "rope_theta": 1000000, "query_pre_attn_scalar": 256,
                "sliding_window_pattern": 6, "attn_logit_softcapping": None, "final_logit_softcapping": 30.0},
    "Phi 3": {"rope_scaling": {"long_factor": [1.08, 64.5], "short_factor": [1.0], "type": "longrope"},
              "original_max_position_embeddings": 4096, "partial_rotary_factor": 0.75, "embd_pdrop": 0.0},
    "BERT, multilingual": {"directionality": "bidi", "pooler_fc_size": 768, "pooler_num_attention_heads": 12,
                           "pooler_num_fc_layers": 3, "pooler_size_per_head": 128, "layer_norm_eps": 1e-12},
    "ALBERT": {"net_structure_type": 0, "gap_size": 0, "down_scale_factor": 1, "num_memory_blocks": 0,
               "num_hidden_groups": 1, "inner_group_num": 1, "classifier_dropout_prob": 0.1},
    "BART": {"max_length": 142, "min_length": 56, "num_beams": 4, "length_penalty": 2.0, "no_repeat_ngram_size": 3,
             "extra_pos_embeddings": 2, "forced_eos_token_id": 2, "num_labels": 3, "encoder_layerdrop": 0.0,
             "task_specific_params": {"summarization": {"max_length": 10_000}}},
    "DeBERTa": {"max_relative_positions": -1, "position_buckets": 256, "pos_att_type": ["p2c", "c2p"],
                "pooler_hidden_size": 768, "type_vocab_size": 0},
    "SmolLM3": {"no_rope_layers": [1, 1, 1, 0] * 9, "no_rope_layer_interval": 4, "rope_theta": 5000000.0},
    "ModernBERT": {"global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_attention": 128,
                   "local_rope_theta": 10000.0, "sparse_pred_ignore_index": -100, "norm_eps": 1e-05},
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_published_models_say_is_not(name: str) -> None:
    check_ranges(PUBLISHED[name], [TensorInfo("BF16", (30_000, 768))], STRANGERS_LAYERS, "config.json")


OWNERS = {"seed": 1234567, "num_train_examples": 5_000_000, "pretraining_tokens": 3 * 10**11, "training_blocks": 9000,
          "total_flos": 123_456_789_012, "training": {"hidden_size": 10**7}}  # fmt: skip


def test_what_an_owner_noted_is_no_size_of_a_model(tiny_bert: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bert, tmp_path / "raw")
    changed(tmp_path / "raw", **OWNERS)
    build(tmp_path / "raw", tmp_path / "home", pickled=False)
    assert loaded(tmp_path / "home").fingerprint() == load_base_model(str(tmp_path / "raw")).fingerprint()


@pytest.mark.parametrize(
    "field", ["hidden_size", "vocab_size", "num_hidden_layers", "num_labels", "n_embd", "num_layers"]
)
def test_and_what_a_model_reads_is_still_one(field: str) -> None:
    with pytest.raises(BadBase, match=field):
        check_ranges({field: 1_000_000_000}, [TensorInfo("F32", (1000, 64))], STRANGERS_LAYERS, "config.json")


@pytest.mark.parametrize("under", [False, True])
def test_under_a_mask_head_no_more_is_built_than_its_files_hold(
    tiny_gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, under: bool
) -> None:
    for name in ("head", "under") if under else ("head",):
        shutil.copytree(tiny_gpt2, tmp_path / "raw" / name)
    stated = {"base_model": "../under"} if under else {}
    (tmp_path / "raw/head/config_mlm_head.json").write_text(json.dumps(stated))
    build(tmp_path / "raw", tmp_path / "home", pickled=False)
    head, base = tmp_path / "home/head", tmp_path / "home" / ("under" if under else "head")
    monkeypatch.setattr("gradiend_ui.engine.base.files.SPARE_WEIGHTS", 1000)
    trust = public_trust().within(tmp_path / "home")
    assert load_base_model(str(head), trust=trust).objective == "clm_next_token"
    changed(base, n_layer=20, n_embd=1024, n_inner=4096)
    for whose in (trust, LOCAL):
        with pytest.raises(BadBase, match=f"config.json of the base model '{base.name}' describes"):
            load_base_model(str(head), trust=whose)


def test_of_a_model_of_the_hub_the_size_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    config, trust = CONFIG_MAPPING["gpt2"](n_embd=48, n_head=2), public_trust()
    monkeypatch.setattr(type(trust), "max_parameters", 1000)
    with pytest.raises(Exception, match="at most 1,000 are read"):
        mask_head.check_size(AutoModelForCausalLM, config, "owner/name", trust)


@pytest.mark.parametrize(
    ("model_type", "fields", "length"),
    [("mistral", {"sliding_window": 0}, 7), ("bert", {"chunk_size_feed_forward": 7}, 9),
     ("t5", {"decoder_start_token_id": 10**6}, 7)],
)  # fmt: skip
def test_a_model_that_can_be_built_and_not_run_is_told_in_a_sentence(
    model_type: str, fields: dict[str, Any], length: int, upload: Saved
) -> None:
    base = loaded(upload(model_type, **fields))
    ids = torch.arange(4, 4 + length).unsqueeze(0)
    start = torch.tensor([[fields.get("decoder_start_token_id", 0)]]) if model_type == "t5" else None
    batch = Batch(ids, torch.ones_like(ids), torch.tensor([0]), torch.tensor([0]), start)
    for read in (lambda: Readout("nowhere").logits(base.model, batch), lambda: Readout.trying(base.model, batch)):
        with pytest.raises(BadBase, match=rf"The base model \({model_type}\) cannot be run: .* as it was saved"):
            read()
    if model_type == "mistral":
        with pytest.raises(BadBase, match="cannot be run"):
            continue_texts(base, base.model, [[4, 5, 6]], 3)
