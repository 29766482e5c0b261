"""The settings a stranger's model may have: their names, and how large their numbers may be.

The names are those that models, tokenizers and generation of the listed architectures have (see `trust`), as the
configuration classes of transformers declare them and its models read them; a test compares them with the installed
version. Left away on purpose is whatever names a file, code or another model.

The numbers of a config.json are measured by the weights that lie beside it. transformers believes them: it counts
labels, layers and groups as it builds a model, and multiplies widths by fractions, before anything is compared with the
weights. What a model's tensors do not need is refused here, before. Knows names and shapes; builds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gradiend_ui.engine.errors import BadBase, shown
from gradiend_ui.engine.files.safetensors_header import TensorInfo

RESERVED = frozenset(
    {
        "allow_global_per_layer_attribute_access", "attribute_map", "base_config_key", "base_model_ep_plan",
        "base_model_fsdp_plan", "base_model_pp_plan", "base_model_tp_plan", "convert_rope_params_to_dict",
        "default_config_fields", "default_rope_type", "default_theta", "dict_dtype_to_str",
        "extra_config_files", "extra_files", "from_dict", "from_json_file", "from_pretrained",
        "get_config_dict", "get_mtp_config", "get_text_config", "ignore_keys_at_rope_validation",
        "is_custom_code", "is_heterogeneous", "is_remote_code", "name_or_path", "nested_rope_parameter_keys",
        "per_layer_attributes", "per_layer_config", "push_to_hub", "register_for_auto_class", "save_pretrained",
        "serialize_explicit_per_layer_config", "standardize_rope_params", "sub_configs", "sub_configs_defaults",
        "text_config", "to_dict", "to_diff_dict", "to_json_file", "to_json_string", "update",
        "update_from_string", "use_return_dict", "validate", "validate_architecture", "validate_layer_type",
        "validate_output_attentions", "validate_rope", "validate_token_ids", "vision_config",
    }
)  # fmt: skip
"""Names of a configuration that no config.json may give another meaning."""
CONFIG_FIELDS = frozenset(
    {
        "_remove_final_layer_norm", "_sliding_window_pattern", "activation", "activation_dropout",
        "activation_function", "add_cross_attention", "architectures", "attention_bias", "attention_dropout",
        "attention_head_size", "attention_layers", "attention_probs_dropout_prob", "attention_types",
        "attn_logit_softcapping", "attn_pdrop", "bos_token_id", "chunk_size_feed_forward",
        "classifier_activation", "classifier_bias", "classifier_dropout", "classifier_dropout_prob",
        "classifier_pooling", "clip_qkv", "cls_dropout", "cls_token_id", "conv_act", "conv_groups",
        "conv_kernel_size", "d_ff", "d_kv", "d_model", "decoder_attention_heads", "decoder_bias",
        "decoder_ffn_dim", "decoder_layerdrop", "decoder_layers", "decoder_start_token_id", "dense_act_fn",
        "deterministic_flash_attn", "dim", "do_layer_norm_before", "dropout", "dropout_rate", "dtype",
        "embd_pdrop", "embed_dropout", "embedding_dropout", "embedding_size", "enable_bias",
        "encoder_attention_heads", "encoder_ffn_dim", "encoder_layerdrop", "encoder_layers", "eos_token_id",
        "feed_forward_proj", "ffn_dim", "final_logit_softcapping", "forced_eos_token_id",
        "global_attn_every_n_layers", "global_rope_theta", "gradient_checkpointing", "head_dim", "hidden_act",
        "hidden_activation", "hidden_dim", "hidden_dropout", "hidden_dropout_prob", "hidden_size",
        "image_token_id", "init_std", "initializer_cutoff_factor", "initializer_factor", "initializer_range",
        "inner_group_num", "intermediate_size", "is_decoder", "is_encoder_decoder", "is_gated_act",
        "layer_norm_elementwise_affine", "layer_norm_eps", "layer_norm_epsilon", "layer_types", "layerdrop",
        "legacy", "local_attention", "local_rope_theta", "mask_token_id", "max_position_embeddings",
        "max_relative_positions", "max_window_layers", "mlp_bias", "mlp_dropout", "mm_tokens_per_image",
        "model_type", "n_ctx", "n_embd", "n_head", "n_heads", "n_inner", "n_layer", "n_layers", "n_positions",
        "no_rope_layer_interval", "no_rope_layers", "norm_bias", "norm_eps", "norm_rel_ebd",
        "num_attention_heads", "num_decoder_layers", "num_heads", "num_hidden_groups", "num_hidden_layers",
        "num_key_value_heads", "num_labels", "num_layers", "original_max_position_embeddings",
        "output_attentions", "output_hidden_states", "output_past", "pad_token_id", "partial_rotary_factor",
        "pooler_dropout", "pooler_hidden_act", "pooler_hidden_size", "pos_att_type", "position_biased_input",
        "position_buckets", "position_embedding_type", "pretraining_tp", "problem_type", "qa_dropout",
        "qk_layernorm", "query_pre_attn_scalar", "relative_attention", "relative_attention_max_distance",
        "relative_attention_num_buckets", "reorder_and_upcast_attn", "resid_dropout", "resid_pdrop",
        "return_dict", "rms_norm_eps", "rope_local_base_freq", "rope_parameters", "rope_scaling", "rope_theta",
        "rotary_emb_base", "rotary_pct", "scale_attn_by_inverse_layer_idx", "scale_attn_weights",
        "scale_decoder_outputs", "scale_embedding", "sep_token_id", "seq_classif_dropout", "share_att_key",
        "sinusoidal_pos_embds", "sliding_window", "sliding_window_pattern", "sparse_pred_ignore_index",
        "sparse_prediction", "summary_activation", "summary_first_dropout", "summary_last_dropout",
        "summary_proj_to_labels", "summary_type", "summary_use_proj", "talking_head", "tie_word_embeddings",
        "token_type_ids", "tokenizer_class", "torch_dtype", "type_vocab_size", "use_bidirectional_attention",
        "use_cache", "use_parallel_residual", "use_sliding_window", "vocab_size", "window_size",
        "word_embed_proj_dim",
    }
)  # fmt: skip
"""Of a model's config.json."""
GENERATION_FIELDS = frozenset(
    {
        "_from_model_config", "assistant_confidence_threshold", "assistant_early_exit",
        "assistant_ensemble_weight", "assistant_lookbehind", "bad_words_ids", "begin_suppress_tokens",
        "bos_token_id", "cache_config", "cache_implementation", "compile_config", "constraints",
        "continuous_batching_config", "decoder_start_token_id", "disable_compile", "diversity_penalty",
        "do_sample", "dola_layers", "early_stopping", "encoder_no_repeat_ngram_size",
        "encoder_repetition_penalty", "eos_token_id", "epsilon_cutoff", "eta_cutoff",
        "exponential_decay_length_penalty", "force_words_ids", "forced_bos_token_id", "forced_eos_token_id",
        "guidance_scale", "is_assistant", "length_penalty", "low_memory", "max_cache_len", "max_length",
        "max_matching_ngram_size", "max_new_tokens", "max_time", "min_length", "min_new_tokens", "min_p",
        "no_repeat_ngram_size", "num_assistant_tokens", "num_assistant_tokens_schedule", "num_beam_groups",
        "num_beams", "num_return_sequences", "output_attentions", "output_hidden_states", "output_logits",
        "output_scores", "pad_token_id", "penalty_alpha", "prefill_chunk_size", "prompt_lookup_num_tokens",
        "remove_invalid_values", "renormalize_logits", "repetition_penalty", "return_dict_in_generate",
        "sequence_bias", "speculation_type", "stop_strings", "suppress_tokens", "target_lookbehind",
        "temperature", "token_healing", "top_h", "top_k", "top_p", "typical_p", "use_cache", "use_mtp",
        "watermarking_config",
    }
)  # fmt: skip
"""Of a generation_config.json."""
TOKENIZER_FIELDS = frozenset(
    {
        "add_bos_token", "add_dummy_prefix_space", "add_eos_token", "add_prefix_space",
        "clean_up_tokenization_spaces",
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", "do_basic_tokenize",
        "do_lower_case", "errors", "extra_ids", "fix_mistral_regex", "keep_accents", "language_codes", "legacy",
        "max_len", "max_length", "model_input_names", "model_max_length", "never_split", "pad_to_multiple_of",
        "pad_token_type_id", "padding_side", "remove_space", "spaces_between_special_tokens", "split_by_punct",
        "split_special_tokens", "src_lang", "stride", "strip_accents", "tgt_lang", "tokenize_chinese_chars",
        "tokenizer_class", "trim_offsets", "truncation_side", "truncation_strategy", "unk_id",
        "use_default_system_prompt", "use_fast", "vocab_type",
    }
)  # fmt: skip
"""Of a tokenizer_config.json, beside its tokens."""
TOKENIZER_NUMBERS = {
    "extra_ids": (0, 1000), "max_len": (1, 1e38), "max_length": (0, 1e38), "model_max_length": (1, 1e38),
    "pad_to_multiple_of": (0, 1024), "pad_token_type_id": (0, 1000), "stride": (0, 1_000_000), "unk_id": (0, 2**31),
}  # fmt: skip
"""{name: (least, most)} of the numbers in a tokenizer_config.json: T5 has 100 extra_ids, each made when it is read."""
OTHER_TOKENIZER_NUMBERS = (0, 1000)
"""Of every number that another one of its fields holds."""
_OF_A_MODEL = (
        "Albert", "Bart", "Barthez", "Bert", "BigBird", "Blenderbot", "Bloom", "CLIP", "Camembert", "CodeGen",
        "CodeLlama", "Cohere", "ConvBert", "Deberta", "DebertaV2", "DistilBert", "Electra", "FNet", "Funnel",
        "GPT2", "GPTNeoX", "Gemma", "Herbert", "LED", "Llama", "Luke", "Lxmert", "MBart", "MBart50", "MPNet",
        "MobileBert", "Mvp", "Nllb", "OpenAIGPT", "Pegasus", "Qwen2", "Qwen3_5", "Reformer", "RemBert", "RoFormer",
        "Roberta", "Siglip2", "Splinter", "SqueezeBert", "T5", "Whisper", "XGLM", "XLMRoberta", "XLNet"
)  # fmt: skip
TOKENIZER_CLASSES = frozenset(
    {"TokenizersBackend", "PreTrainedTokenizerFast"}
    | {f"{name}{kind}" for name in _OF_A_MODEL for kind in ("Tokenizer", "TokenizerFast")}
)
"""The classes that read a tokenizer.json with the library that tried it, by the spellings of the versions of
transformers. Others split texts in Python, or read files and libraries of their own."""


MOST_LABELS, MOST_POSITIONS, LEAST_WIDTH, MOST_TURNED = 4096, 2**24, 4096, 1e12
"""Labels of a classifier; tokens of a text (Llama 4 has ten million); what any model may say, however narrow it is;
bases of rotary embeddings."""
LABELS = ("id2label", "label2id", "task_specific_params")
"""Words for people, and settings of pipelines: no score depends on them, and no library opens them. Bounded where they
are made plain; no number in them is a size."""
FRACTIONS = re.compile(r"partial_rotary_factor|rotary_pct|layerdrop|.*(dropout|pdrop)(_prob|_rate)?")
COUNTS = re.compile(
    r"(?!max_window_layers).*(layers?|groups?|group_num|blocks?)|attention_types|.*pattern|.*_every_n_\w+|.*interval"
)
PLACES = re.compile(r".*(position|window|length|n_ctx|local_attention|distance|bucket).*")
TURNED = re.compile(r".*(theta|base|freq).*")
FREE = re.compile(
    r"max_window_layers|.*(token_ids?|index)|.*eps(ilon)?|.*(std|range|factor|scalar|softcapping|clip_qkv|cutoff).*"
)
"""What no memory and no loop is made of: numbers of tokens, and what values are multiplied with or compared to (from
which layer on windows are read; of a model cut out of a deeper one it is still that one's)."""


class Range(NamedTuple):
    """What a number may be, and what it is compared with, in words."""

    least: float
    most: float
    words: str


def check_ranges(config: Mapping[str, Any], stored: Iterable[TensorInfo], most_layers: int, where: str) -> None:
    """Raises BadBase with the field for a number that no model with such weights has.

    stored: what the files beside it hold. most_layers: of any model here. where: such as "config.json of 'base'".
    """
    widths = [width for info in stored for width in info.shape]
    widest = max(widths, default=0)
    read = {name: value for name, value in config.items() if name in CONFIG_FIELDS or name == "num_labels"}
    for name, value in _numbers(read):  # of any other name nothing is made: an owner's seed, steps, tokens
        leaf = name.rpartition(".")[2].partition("[")[0]
        allowed = _range_of(leaf, widest, most_layers)
        if allowed is not None and not allowed.least <= value <= allowed.most:
            raise BadBase(
                f"{where}: {name} must be from {allowed.least:,} to {allowed.most:,} ({allowed.words}), not "
                f"{shown(value)}: give the model as it was saved."
            )
    _check_expanded(config, most_layers, where)
    positions = config.get("max_position_embeddings")
    if config.get("sinusoidal_pos_embds") and type(positions) is int and positions > widest:
        raise BadBase(
            f"{where}: max_position_embeddings is {positions:,}, and no table beside it has so many rows "
            "(sinusoidal_pos_embds): give the model as it was saved."
        )


def _range_of(name: str, widest: int, most_layers: int) -> Range | None:
    if name == "num_labels":
        return Range(0, MOST_LABELS, "labels of a classifier")
    if FRACTIONS.fullmatch(name):
        return Range(0, 1, "a fraction")
    if COUNTS.fullmatch(name):
        return Range(-1, most_layers, "layers")
    if FREE.fullmatch(name):
        return None
    if TURNED.fullmatch(name):
        return Range(0, MOST_TURNED, "the base of an embedding of positions")
    if PLACES.fullmatch(name):
        return Range(-1, MOST_POSITIONS, "tokens of a text")
    return Range(-widest - LEAST_WIDTH, max(widest, LEAST_WIDTH), "the widest tensor beside it")


def _check_expanded(config: Mapping[str, Any], most_layers: int, where: str) -> None:
    """GPT-Neo writes its layers as [[kinds, how often], ...]."""
    types = config.get("attention_types")
    if not isinstance(types, list):
        return
    layers = 0
    for one in types:
        if not (isinstance(one, list) and len(one) == 2 and isinstance(one[0], list) and type(one[1]) is int):
            raise BadBase(f"{where}: attention_types must be pairs of kinds and how often they come, not {shown(one)}.")
        layers += len(one[0]) * one[1]
    if layers > most_layers:
        raise BadBase(f"{where}: attention_types are {layers:,} layers; at most {most_layers} are read.")


def _numbers(value: object, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number of the configuration with its place, such as "rope_parameters.factor" or "layers[3]"."""
    if isinstance(value, Mapping):
        for key, inside in value.items():
            if key not in LABELS:
                yield from _numbers(inside, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, inside in enumerate(value):
            yield from _numbers(inside, f"{name}[{number}]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, value
