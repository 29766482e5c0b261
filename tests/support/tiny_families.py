"""A tiny random model of every family that needs more than a name in a list: other heads, settings, or modules.

{name: (configuration, class, tokenizer, settings beside the small ones)}; what `save_family` saves is a base as people
have it, with a tokenizer.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

from tests.support import tiny_models
from tests.support.tiny_architectures import SMALL, SPARE

WORDS, BYTES = "words", "bytes"
TOKENIZERS = {WORDS: tiny_models.build_wordpiece_tokenizer, BYTES: tiny_models.build_byte_level_tokenizer}
FAMILIES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "DeBERTa": ("Deberta", "ForMaskedLM", WORDS, {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "DeBERTa, as it is by default": ("Deberta", "ForMaskedLM", WORDS, {}),
    "DeBERTa v3": ("DebertaV2", "ForMaskedLM", WORDS, {
        "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8, "share_att_key": True,
        "norm_rel_ebd": "layer_norm", "position_biased_input": False}),
    "Gemma 3n": ("Gemma3nText", "Gemma3nForCausalLM", BYTES, {
        "num_key_value_heads": 1, "hidden_size_per_layer_input": 8, "altup_num_inputs": 2, "laurel_rank": 4,
        "num_kv_shared_layers": 0, "layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16,
        "activation_sparsity_pattern": [0.0, 0.0], "intermediate_size": [64, 64]}),
    "ALBERT, pretrained": ("Albert", "ForPreTraining", WORDS, {}),
    "BERT, pretrained": ("Bert", "ForPreTraining", WORDS, {}),
    "BigBird, pretrained": ("BigBird", "ForPreTraining", WORDS, {"attention_type": "original_full"}),
    "ERNIE, pretrained": ("Ernie", "ForPreTraining", WORDS, {}),
    "FNet, pretrained": ("FNet", "ForPreTraining", WORDS, {}),
    "MegatronBERT, pretrained": ("MegatronBert", "ForPreTraining", WORDS, {}),
    "XLM": ("XLM", "WithLMHeadModel", WORDS, {
        "emb_dim": 32, "n_layers": 2, "n_heads": 2, "pad_index": 0, "mask_index": 4, "use_lang_emb": False,
        "n_langs": 1}),
    "FlauBERT": ("Flaubert", "WithLMHeadModel", WORDS, {
        "emb_dim": 32, "n_layers": 2, "n_heads": 2, "pad_index": 0, "mask_index": 4, "n_langs": 1}),
    "Reformer": ("Reformer", "ModelWithLMHead", BYTES, {
        "is_decoder": True, "axial_pos_embds": False, "attention_head_size": 16, "feed_forward_size": 64,
        "attn_layers": ["local", "local"], "local_attn_chunk_length": 16}),
    "BertGeneration": ("BertGeneration", "BertGenerationDecoder", BYTES, {"is_decoder": True}),
    "XLNet": ("XLNet", "LMHeadModel", BYTES, {"d_inner": 64}),
    "RWKV": ("Rwkv", "ForCausalLM", BYTES, {"attention_hidden_size": 32, "context_length": 64}),
    "Funnel": ("Funnel", "ForMaskedLM", WORDS, {"block_sizes": [1, 1], "d_inner": 64, "d_head": 16}),
    "ESM": ("Esm", "ForMaskedLM", WORDS, {"mask_token_id": 4}),
    "Longformer": ("Longformer", "ForMaskedLM", WORDS, {"attention_window": 8}),
    "Perceiver": ("Perceiver", "ForMaskedLM", WORDS, {
        "d_latents": 32, "num_latents": 8, "num_blocks": 1, "num_self_attends_per_block": 1,
        "num_cross_attention_heads": 2, "num_self_attention_heads": 2}),
}  # fmt: skip


def save_family(name: str, folder: Path) -> Path:
    """Save a random model and tokenizer of this family at `folder`."""
    start, end, words, settings = FAMILIES[name]
    tokenizer = TOKENIZERS[words]()
    kind = getattr(transformers, f"{start}Config")
    defaults = kind().to_dict()
    known = {key: value for key, value in SMALL.items() if key in defaults or key in kind.attribute_map}
    ids = {key: getattr(tokenizer, key) for key in ("pad_token_id", "bos_token_id", "eos_token_id")}
    ids = {key: value for key, value in ids.items() if value is not None}
    rows = len(tokenizer) + SPARE
    more = {key: rows for key in ("vocab_size_per_layer_input",) if key in defaults}
    with tiny_models.seeded(7):
        config = kind(**{**known, **ids, **more, "vocab_size": rows, **settings})
        model = getattr(transformers, end if end.startswith(start.removesuffix("Text")) else start + end)(config).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
