"""The names of the settings that models, tokenizers and generation of the listed architectures have (see `trust`).

Facts of transformers, as its configuration classes declare them and its models read them; a test compares them with the
installed version. Left away on purpose is whatever names a file, code or another model. Names only.
"""

from __future__ import annotations

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
