"""Names and arguments of the `gradiend` package that are not here, each with the way out.

A sentence is made of them where a script meets one (`engine/errors.py::refusing`, `refuse_name`), and the page
assets/docs/public-names.md lists them all. Knows texts only.
"""

from __future__ import annotations

from collections.abc import Mapping

_LOOP = "make one TextPredictionTrainer each, in a loop"
_OVERLAP = "compare get_topk_weights() of the models: these are global indices, so that sets of them can be compared"
_ENCODED = "take the table of evaluate_encoder(return_df=True)"
_CREATE = "make the rows with the reference and save them as csv; its files are read here"
_CALLBACK = "give functions of your own as callbacks of train(): each gets every TrainingStep"
_MADE = "train() makes it, and ModelWithGradiend.from_pretrained() loads it"
_PLOTLY = "figures are drawn by plotly: change the figure that return_fig_ax=True gives"
_NO_CLASSIFIER = "train and rewrite a text classifier with the reference"
_LOGGING = "use Python's logging: the names of the loggers start with 'gradiend_ui'"
_TRANSITIONS = "give target_classes; include_other_classes=True adds the other transitions to an evaluation"
_ROWS = "TextPredictionTrainer(data=...) reads and splits the rows; combined_data shows them"
_SEARCH = "give a number as learning_rate; 1e-4 is a good first guess"
_EVALUATOR = "call the methods of the trainer: evaluate_encoder(), evaluate_decoder() and plot_...()"

NAMES: Mapping[str, str] = {
    "CheckpointCallback": _CALLBACK,
    "DataCreator": _CREATE,
    "DecoderEvaluator": _EVALUATOR,
    "EncoderEvaluator": _EVALUATOR,
    "EvaluationCallback": _CALLBACK,
    "Evaluator": _EVALUATOR,
    "GradiendModel": _MADE,
    "GradientTrainingDataset": "gradients are computed inside train() and evaluate_encoder()",
    "LRSearchConfig": _SEARCH,
    "LoggingCallback": _CALLBACK,
    "MultiSeedTrainerView": "load each folder of get_saved_seed_run_paths() with load_model()",
    "NormalizationCallback": "normalize_gradiend of TrainingArguments does the same",
    "PairedTextFilterConfig": _CREATE,
    "ParamMappedGradiendModel": f"{_MADE}; its encoder and decoder are model.gradiend",
    "PlotStyleConfig": _PLOTLY,
    "PlotStyleStatus": _PLOTLY,
    "PositiveFeatureDefinition": _LOOP,
    "PositiveTrainerSuite": _LOOP,
    "PreComputedTrainingDataset": "gradients are computed inside train() and evaluate_encoder()",
    "SeedModelGroup": "load each folder of get_saved_seed_run_paths() with load_model()",
    "SpacyTagSpec": _CREATE,
    "SuitePairDefinition": _LOOP,
    "SymmetricTrainerSuite": _LOOP,
    "TextClassificationConfig": _NO_CLASSIFIER,
    "TextClassificationTrainer": _NO_CLASSIFIER,
    "TextFilterConfig": _CREATE,
    "TextGradientTrainingDataset": "gradients are computed inside train() and evaluate_encoder()",
    "TextPredictionDataCreator": _CREATE,
    "TextPredictionModelWithGradiend": "it is called ModelWithGradiend",
    "TextPreprocessConfig": _CREATE,
    "Trainer": "it is called TextPredictionTrainer",
    "TrainerCollection": _LOOP,
    "TrainerConfig": "it is called TextPredictionConfig",
    "TrainerSuite": _LOOP,
    "TrainingCallback": _CALLBACK,
    "TransitionSpec": _TRANSITIONS,
    "Visualizer": _EVALUATOR,
    "annotate_data": "evaluate_decoder() with decoder_eval_export_row_wise_csv=True writes each row's probabilities",
    "build_cross_task_encoder_summary": f"{_ENCODED} of each trainer",
    "check_plot_environment": "figures need plotly only, which is installed; images take the extra 'images'",
    "compute_anchor_aligned_encoding_matrix": f"{_ENCODED} of each trainer",
    "compute_gradiend_feature_cross_encoding_matrix": f"{_ENCODED} of each trainer",
    "compute_gradiend_transition_cross_encoding_matrix": f"{_ENCODED} of each trainer",
    "compute_grouped_similarity_matrices": _OVERLAP,
    "compute_similarity_matrix": _OVERLAP,
    "compute_topk_sets": _OVERLAP,
    "compute_trainer_pair_encoding_matrix": f"{_ENCODED} of each trainer",
    "configure_plot_style": _PLOTLY,
    "create_model_with_gradiend": _MADE,
    "expand_transition_selection": _TRANSITIONS,
    "format_transition_label": "give labels of your own by legend_name_mapping or label_name_mapping",
    "get_correlation": "evaluate_encoder() gives it as 'correlation'",
    "get_default_callbacks": _CALLBACK,
    "get_logger": _LOGGING,
    "get_model_metrics": "get_encoder_metrics(encoder_df=...) of the trainer",
    "identity": _TRANSITIONS,
    "is_decoder_only_model": "model.base.kind tells the kind of a loaded model",
    "is_multi_seed_view": "load each folder of get_saved_seed_run_paths() with load_model()",
    "is_seq2seq_model": "model.base.kind tells the kind of a loaded model",
    "iter_sentences_from_texts": _CREATE,
    "pair": _TRANSITIONS,
    "plot_comparison_heatmap": _OVERLAP,
    "plot_cross_encoding_heatmap": _OVERLAP,
    "plot_encoder_by_target": "call trainer.plot_encoder_by_target(encoder_df)",
    "plot_encoder_distributions": "call trainer.plot_encoder_distributions(encoder_df)",
    "plot_encoder_scatter": "call trainer.plot_encoder_scatter(encoder_df)",
    "plot_encoder_strip_by_split": "call trainer.plot_encoder_strip_by_split(encoder_df)",
    "plot_gradiend_feature_cross_encoding_heatmap": _OVERLAP,
    "plot_gradiend_transition_cross_encoding_heatmap": _OVERLAP,
    "plot_similarity_heatmap": _OVERLAP,
    "plot_similarity_heatmap_with_correlation": _OVERLAP,
    "plot_topk_overlap_heatmap": _OVERLAP,
    "plot_topk_overlap_venn": _OVERLAP,
    "plot_topk_venn": _OVERLAP,
    "plot_training_convergence": "call trainer.plot_training_convergence(), which takes model_path and training_stats",
    "post_prune": "give post_prune_config to TrainingArguments, or call prune_gradiend() of the model",
    "pre_prune": "give pre_prune_config to TrainingArguments",
    "preprocess_texts": _CREATE,
    "read_decoder_stats_file": "evaluate_decoder() gives what is kept again, without computing it anew",
    "resolve_base_data": _CREATE,
    "set_seed": "no global random generator is used: give seed to TrainingArguments",
    "setup_logging": _LOGGING,
    "train_core": "call train() of the trainer",
    "transition_bidi_arrow": "give labels of your own by legend_name_mapping or label_name_mapping",
    "transition_directed_arrow": "give labels of your own by legend_name_mapping or label_name_mapping",
    "tune_learning_rate": _SEARCH,
}
"""Names of its modules."""

MODULES: Mapping[str, str] = {
    "comparison": _OVERLAP,
    "data": _CREATE,
    "evaluator": _EVALUATOR,
    "examples": "the examples are in the reference's package; coming-from-gradiend.md tells what they meet here",
    "model": "import ModelWithGradiend from gradiend_ui",
    "trainer.core": "import its names from gradiend_ui: TrainingArguments, PrePruneConfig, load_training_stats, ...",
    "trainer.factory": _MADE,
    "trainer.suite": _LOOP,
    "trainer.text": "import its names from gradiend_ui: TextPredictionTrainer, TextPredictionConfig, ModelWithGradiend",
    "trainer.trainer": "import TextPredictionTrainer from gradiend_ui",
    "util": "every public name that is here is imported from gradiend_ui",
    "visualizer": "call the plot_...() methods of the trainer",
}
"""Its modules, with all below them."""

_ONE_CLASS = "there is one class of models: leave it out"
_INSIDE = "train() and the evaluations make what they need themselves"
_SEEDS = "load each folder of get_saved_seed_run_paths() with load_model(), and evaluate it"
_HEAD = "no mask head is trained here: use clm_next_token or clm_sequence_cloze"

TRAINER_NAMES: Mapping[str, str] = {
    "analyze_decoder_for_plotting": "evaluate_decoder(plot=True) scores what a figure needs",
    "annotate_data": NAMES["annotate_data"],
    "create_eval_data": _INSIDE,
    "create_gradient_training_dataset": _INSIDE,
    "create_model_with_gradiend": _INSIDE,
    "create_training_data": f"{_INSIDE}; combined_data shows all rows",
    "default_model_with_gradiend_cls": _ONE_CLASS,
    "encode": "call get_model().encode(text, label)",
    "eval_group": "encoder tables have a column eval_group",
    "evaluate_base_model": "evaluate_decoder() gives the base model's numbers as ['grid']['base']",
    "evaluator": "its methods are the trainer's own",
    "get_decoder_mlm_training_data": _HEAD,
    "get_seed_run_entries": "get_seed_report()['runs'] has seed and folder of each run",
    "iter_encoder_eval_cache_dirs": "encoded rows are not kept in files: keep encoder_df",
    "map_target_feature_class_ids": "target_classes are names already",
    "model_with_gradiend_cls": _ONE_CLASS,
    "multi_seed": _SEEDS,
    "peek_unified_training_data": _ROWS,
    "post_prune": NAMES["post_prune"],
    "post_training": "give callbacks to train()",
    "pre_prune": NAMES["pre_prune"],
    "resolve_custom_prediction_head_dir": _HEAD,
    "train_decoder_only_mlm_head": _HEAD,
    "tune_learning_rate": _SEARCH,
}
"""Methods and properties of its trainer."""

_NO_SELECTION = "transitions cannot be chosen one by one: include_other_classes=True takes all of them"
_OTHER_CLASSES = "it is called include_other_classes"
NOT_IN_TRAINER: Mapping[str, str] = {
    "evaluator_class": "evaluation is no class to be replaced here: call or override the trainer's methods",
    "id2label": "classes are names here: rename them in the data",
    "trust_remote_code": "no remote code is run: convert the model or data set first",
}
NOT_IN_TRAIN: Mapping[str, str] = {"model_with_gradiend_cls": _ONE_CLASS}
NOT_IN_LOADING: Mapping[str, str] = {
    "base_model_device_map": "give it to TrainingArguments, or device_map to ModelWithGradiend.from_pretrained()",
    "base_model_max_memory": "give base_model_device_map to TrainingArguments",
    "feature_definition": "the trainer's classes count already: leave it out",
    "gradiend_only": "the base model is loaded once and shared: leave it out",
    "model_with_gradiend_cls": _ONE_CLASS,
    "trust_remote_code": "no remote code is run: convert the model first",
}
NOT_IN_EVALUATION: Mapping[str, str] = {
    "alternative_token_col": "give alternative_col to the trainer",
    "eval_batch_size": "rows are encoded one by one: leave it out",
    "factual_token_col": "give label_col to the trainer",
    "is_decoder_only_model": "the model's own configuration tells: leave it out",
    "masked_col": "give it to the trainer",
    "pre_load_gradients": "gradients of few rows are kept anyway: leave it out",
    "source_id_col": "give label_class_col to the trainer",
    "target_id_col": "give alternative_class_col to the trainer",
    "text_col": "give neutral texts as a list, or as a frame with a column text",
    "transition_selection": _NO_SELECTION,
    "trust_encoder_df_cache": "encoded rows are not kept in files: give encoder_df",
}
NOT_IN_DECODER: Mapping[str, str] = {
    "summary_empty_default_id": "the base model stands in where no cell comes into question",
    "summary_feature_factor_from_id": "the id of a Candidate needs feature_factor and learning_rate",
    "summary_lr_from_id": "the id of a Candidate needs feature_factor and learning_rate",
}
NOT_IN_REWRITING: Mapping[str, str] = {
    "decoder_stats_kwargs": "leave decoder_results out: the newest evaluation of the experiment is taken",
    "decoder_stats_metric_name": "leave decoder_results out: the newest evaluation of the experiment is taken",
}
NOT_IN_FIGURES: Mapping[str, str] = {
    "ax": "figures are plotly's: change the one that return_fig_ax=True gives",
    "plotting_data": "evaluate_decoder(plot=True) scores what a figure needs",
    "transition_selection": _NO_SELECTION,
    "use_all_transitions": _OTHER_CLASSES,
}
_POINTED = "a point tells its text when the pointer is on it: leave it out"
NOT_IN_POINTS: Mapping[str, str] = {
    **NOT_IN_FIGURES,
    **dict.fromkeys(("label_points", "label_indices", "label_col", "label_max_chars", "label_formatter"), _POINTED),
    **dict.fromkeys(("label_sample_per_group", "adjust_labels", "label_fontsize"), _POINTED),
    **dict.fromkeys(("outlier_method", "outlier_k"), _POINTED),
}
"""Arguments, by the methods that are asked for them."""
