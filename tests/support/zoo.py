"""Tiny random models of many architectures, each with a tokenizer of its kind: what shortcuts and numbers are tried on.

Made from each configuration's defaults, made small, with what the kind needs beyond. Every number is drawn, so that no
bias and no padding row is zero. Knows models; no GRADIEND.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from gradiend_ui.engine.base.base_model import BaseModel
from tests.support import tiny_models
from tests.support.tiny_architectures import SMALL, SPARE

AUTO: dict[str, Any] = {
    "masked": AutoModelForMaskedLM,
    "causal": AutoModelForCausalLM,
    "seq2seq": AutoModelForSeq2SeqLM,
}
OBJECTIVES = {"masked": "mlm_mask_token", "causal": "clm_next_token", "seq2seq": "seq2seq_encoder_mlm"}
POSITIONS = 4 * tiny_models.POSITIONS + 2
MATRIX, VECTOR = 0.2, 0.1
"""By how much matrices are drawn, and by how much vectors are moved from what they begin with."""
SMALLER: dict[str, Any] = {
    "moe_intermediate_size": 16, "num_experts": 2, "num_local_experts": 2, "n_routed_experts": 2,
    "num_experts_per_tok": 1, "shared_expert_intermediate_size": 16, "moe_num_experts": 2,
    "use_mamba_kernels": False, "mamba_d_state": 8,
    "state_size": 8, "d_inner": 64, "d_head": 16, "decoder_start_token_id": 0, "attention_window": 8,
    "max_encoder_position_embeddings": 258, "max_decoder_position_embeddings": 258,
    "input_embedding_size": 32, "output_embedding_size": 32,
}  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """An architecture: its `model_type`, its kind, its tokenizer, what its configuration needs beyond small sizes."""

    model_type: str
    kind: str
    words: str
    extra: dict[str, Any] = field(default_factory=dict)
    side: str = "right"
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.model_type


def _masked(*names: str, words: str = "pieces", **extra: Any) -> list[Kept]:
    return [Kept(name, "masked", words, extra) for name in names]


def _causal(*names: str, **extra: Any) -> list[Kept]:
    return [Kept(name, "causal", "bytes", extra) for name in names]


def _seq2seq(*names: str, words: str = "bytes", **extra: Any) -> list[Kept]:
    return [Kept(name, "seq2seq", words, extra) for name in names]


MAMBA2 = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_expand": 2, "mamba_chunk_size": 8}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2, "linear_num_value_heads": 2,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
DEBERTA = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
RELATIVE = {"position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True, "conv_kernel_size": 3}
ZOO: tuple[Kept, ...] = (
    *_masked("bert", "distilbert", "electra", "mpnet", "convbert", "fnet", "roformer", "ernie", "megatron-bert"),
    *_masked("layoutlm", "nystromformer", "squeezebert", "ibert", "nomic_bert", "rembert"),
    Kept("bert", "masked", "pieces", side="left", name="bert-left"),
    *_masked("mobilebert", embedding_size=16, true_hidden_size=32, intra_bottleneck_size=32,
             num_feedforward_networks=2),
    *_masked("funnel", block_sizes=[1, 1], num_decoder_layers=1, words="pieces"),
    *_masked("big_bird", attention_type="original_full"),
    *_masked("albert", words="marks"),
    *_masked("deberta", words="bytes", **DEBERTA),
    *_masked("deberta-v2", words="bytes", **DEBERTA, **RELATIVE),
    *_masked("roberta", "camembert", "xlm-roberta", "xlm-roberta-xl", "roberta-prelayernorm", words="bytes"),
    *_masked("longformer", "modernbert", "eurobert", "data2vec-text", words="bytes"),
    *_masked("xlm", "flaubert", words="bytes"),
    *_causal("gpt2", "gpt_neo", "gpt_neox", "opt", "bloom", "mpt", "biogpt", "xglm", "openai-gpt", "gpt_bigcode"),
    *_causal("gptj", rotary_dim=8),
    *_causal("codegen", rotary_dim=4, num_attention_heads=4),
    *_causal("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "falcon"),
    Kept("llama", "causal", "bytes", side="left", name="llama-left"),
    *_causal("olmo", "olmo2", "granite", "cohere", "cohere2", "glm", "glm4", "stablelm", "starcoder2", "persimmon"),
    *_causal("mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "granitemoe", "jetmoe", "nemotron", "helium", "exaone4"),
    *_causal("smollm3"),
    *_causal("xlnet", d_inner=64, pad_token_id=0),
    *_causal("mamba", "falcon_mamba", "rwkv"),
    *_causal("mamba2", num_heads=4, n_groups=1, chunk_size=8, expand=2),
    *_causal("jamba", attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1,
             mamba_dt_rank=4),
    *_causal("bamba", attn_layer_indices=[1], **MAMBA2),
    *_causal("falcon_h1", mamba_d_ssm=64, **MAMBA2),
    *_causal("lfm2", layer_types=["conv", "full_attention"], conv_L_cache=3, block_auto_adjust_ff_dim=False),
    *_causal("qwen3_next", **LINEAR),
    *_causal("olmo_hybrid", **LINEAR),
    *_causal("recurrent_gemma", num_hidden_layers=3, lru_width=32, attention_window_size=16),
    *_causal("gemma3n_text", num_kv_shared_layers=0, layer_types=["full_attention"] * 2, intermediate_size=[64, 64],
             hidden_size_per_layer_input=8, vocab_size_per_layer_input=500, laurel_rank=8,
             altup_num_inputs=2, activation_sparsity_pattern=[0.0, 0.0]),
    *_seq2seq("t5", "mt5", "umt5", words="sentinels"),
    *_seq2seq("longt5", words="sentinels", local_radius=7),
    *_seq2seq("switch_transformers", words="sentinels"),
    *_seq2seq("bart", "mbart", "pegasus", "marian", "blenderbot", "blenderbot-small", "m2m_100", "plbart", "mvp"),
    *_seq2seq("led"),
)  # fmt: skip


def build(kept: Kept) -> BaseModel:
    """The model with its tokenizer, as a base model; below what a folder's checks look at."""
    tokenizer = tokenizer_of(kept)
    return BaseModel(model_of(kept, tokenizer), tokenizer, OBJECTIVES[kept.kind], str(kept))


def save(kept: Kept, folder: Path) -> Path:
    """Model and tokenizer below `folder`, as they are given to a person."""
    base = build(kept)
    base.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    return folder


def tokenizer_of(kept: Kept) -> Any:
    masked_bytes, causal_bytes = tiny_models.build_masked_byte_level_tokenizer, tiny_models.build_llama_tokenizer
    make: dict[str, Callable[[], Any]] = {
        "pieces": tiny_models.build_wordpiece_tokenizer,
        "marks": tiny_models.build_wordpiece_tokenizer,
        "sentinels": tiny_models.build_unigram_tokenizer,
        "bytes": causal_bytes if kept.kind == "causal" else masked_bytes,
    }
    tokenizer = make[kept.words]()
    tokenizer.padding_side = kept.side
    return tokenizer


def model_of(kept: Kept, tokenizer: Any) -> Any:
    kind = CONFIG_MAPPING[kept.model_type]
    defaults = kind().to_dict()
    sizes = {**SMALL, **SMALLER, "max_position_embeddings": POSITIONS, "n_positions": POSITIONS}
    known = {name: value for name, value in sizes.items() if name in defaults or name in kind.attribute_map}
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    ids = {name: 0 if number is None else number for name, number in ids.items()}
    start = {"decoder_start_token_id": ids["pad_token_id"]} if kept.kind == "seq2seq" else {}
    with tiny_models.seeded(7):
        config = kind(**{**known, **ids, **start, "vocab_size": len(tokenizer) + SPARE, **kept.extra})
        model = AUTO[kept.kind].from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(std=MATRIX)
                else:
                    parameter.add_(torch.randn_like(parameter) * VECTOR)
        model.requires_grad_(False)
    return model
