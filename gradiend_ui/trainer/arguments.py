"""`TrainingArguments`: the settings of a trainer, named as in the `gradiend` package.

A plain record that scripts may still change after making it. Fields for things that are not here are accepted at
their default and refused otherwise, in a sentence. Trains nothing: `trainer.training` hands the engine frozen values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from gradiend_ui.engine.data.rows import MASK
from gradiend_ui.engine.errors import BadGrid, NotAllowed, check_text, items_of, nearest, refusing_class, shown
from gradiend_ui.engine.training.settings import METRICS, OPTIMIZERS, SAVED, PostPruneConfig, PrePruneConfig
from gradiend_ui.engine.values import SOURCES

__all__ = ["PostPruneConfig", "PrePruneConfig", "TrainingArguments"]

DTYPE_NAMES = ("float32", "bfloat16", "float16", "float64")
OPTIONAL: Mapping[str, tuple[tuple[type, ...], str]] = {
    "activation_encoder": ((str,), "the name of an activation"),
    "activation_decoder": ((str,), "the name of an activation"),
    "bias_decoder": ((bool,), "True or False"),
    "base_model_device_map": ((bool, str, Mapping), "a device map, as in transformers"),
    "metadata": ((Mapping,), "a dictionary"),
}
"""Fields of a kind of their own, or None, and how a sentence calls it."""
CACHE_POLICIES = (None, True, False, "always", "only_convergent")
NOT_HERE: Mapping[str, tuple[Any, str]] = {
    "lr_search_config": (None, "learning_rate='tune' and its search are not here: give a number as learning_rate"),
    "precompute_gradient_batches": (None, "gradients are computed in the step that needs them: leave it None"),
    "precompute_gradient_buffer_size": (1, "gradients are computed in the step that needs them: leave it 1"),
    "gradient_timing_steps": (0, "times are in training.json: leave it 0"),
    "runtime_monitor": (False, "there is no runtime monitor: leave it False"),
    "supervised_encoder": (False, "training the encoder alone is not here: leave it False"),
    "supervised_decoder": (False, "training the decoder alone is not here: leave it False"),
    "criterion": (None, "the loss is the mean squared error: leave it None"),
    "evaluate_fn": (None, "the encoder's correlation is what is evaluated: leave it None"),
    "trust_remote_code": (False, "no remote code is ever run: leave it False"),
    "base_model_max_memory": (None, "give base_model_device_map instead, or leave both None"),
    "delete_models": (False, "delete the weights yourself afterwards: leave it False"),
    "split_resplit_per_seed": (False, "all seeds train on the same splits: leave it False"),
    "analyze_seed_stability": (False, "set saved_seed_runs='all_convergent' and compare the seeds instead"),
}
"""Fields of the reference without a meaning here: their default, and what to do instead."""
POSITIVE = (
    "train_batch_size",
    "base_gradient_batch_size",
    "gradiend_batch_size",
    "num_train_epochs",
    "eval_batch_size",
    "max_seeds",
    "latent_dim",
)
FLAGS = (
    "do_eval",
    "add_identity_for_other_classes",
    "encoder_eval_balance",
    "include_other_classes",
    "save_only_best",
    "normalize_gradiend",
    "reuse_pre_prune",
    "fail_on_non_convergence",
    "highlight_non_convergence",
    "split_resplit_per_seed",
)
CAPS = (
    "train_max_size",
    "encoder_eval_train_max_size",
    "encoder_eval_max_size",
    "seed_selection_eval_max_size",
    "decoder_eval_max_size_training_like",
    "decoder_eval_max_size_neutral",
)


@refusing_class()
@dataclass
class TrainingArguments:
    """Settings of a trainer; names and defaults are the reference's.

    Raises BadGrid for a value out of range, NotAllowed (with what to do instead) for a setting that is not here.

    experiment_dir: where models, seeds and results are kept; None: results stay in memory, and a
        trained model goes to output_dir, else to a temporary folder.
    use_cache: None reuses stored results of evaluate_decoder (they are kept under a fingerprint) and trains anew;
        True also reuses a trained model of the same run, "only_convergent" only one that converged, "always" any.
    source, target: gradients that go in and that come out: "factual", "alternative" or "diff" (their difference)
    train_batch_size, base_gradient_batch_size (None: the same): rows in one gradient; gradiend_batch_size: gradients
        in one step (None: 1). max_steps: at most so many steps, -1: num_train_epochs rounds.
    eval_steps: steps between evaluations of the encoder; encoder_eval_*_max_size: rows per class in them
    learning_rate (above 0), weight_decay, adam_epsilon, optim ("adamw", "adam"): of the steps
    train_max_size: rows per transition trained on; None: all. add_identity_for_other_classes: rows of classes outside
        the pair stand beside its rows, each token its own alternative.
    encoder_eval_balance: the classes weigh the same in an evaluation
    do_eval, eval_strategy "no": whether the encoder is evaluated; save_only_best: the best step stays, not the last;
        save_strategy "steps" with save_steps: a copy every so many steps
    decoder_eval_lrs, decoder_eval_feature_factors, decoder_eval_max_size_training_like, decoder_eval_max_size_neutral:
        for `evaluate_decoder` where the call gives none; eval_batch_size: texts of the LMS padded together
    prediction_objective: "auto" (by the kind of the base; a trained GRADIEND as it was trained), "mlm_mask_token",
        "clm_next_token", "clm_sequence_cloze", "seq2seq_encoder_mlm", "seq2seq_decoder" or
        "seq2seq_decoder_sequence_cloze"; decoder_sequence_cloze_rhs_window: tokens right of the mask, -1 for all
    latent_dim (None: 1), activation_encoder (None: "tanh"), activation_decoder (None: "id"), bias_decoder (None: True):
        shape of the autoencoder; normalize_gradiend: the pair's first class lies at +1
    torch_dtype: of base model and GRADIEND, None: float32; base_model_device_map: as in transformers
    pre_prune_config, post_prune_config: weights kept before and after; reuse_pre_prune: all seeds keep the same ones
    seed: of all draws and the first of several seeds, None: another one every time
    fail_on_non_convergence: raise Failed after a training that did not converge; highlight_non_convergence: figures
        of training and encoder say so in their title
    params: names or wildcards of the parameters to map, None: the whole backbone
    max_seeds, min_convergent_seeds: at most so many seeds, until so many have converged (None: all of them)
    convergent_score_threshold (None: 0.5), convergent_mean_by_class_threshold (None: 0.5): when a seed counts as
        converged, by its correlation and by |mean| of each class; convergent_metric "loss" needs a threshold
    saved_seed_runs: whose weights stay: "best_only", "all_convergent" or "all_tried"; seed_runs_dir: in place of
        experiment_dir/seeds

    Accepted for scripts of the reference, without effect: use_cached_gradients, model_use_cache, positive_class,
    encoder_decoder_same_device, split_resplit_strategy, seed_stability_*,
    runtime_monitor_*, decoder_mlm_head_*. metadata is written into training.json. The reference is `gradiend` 0.2.3.
    """

    experiment_dir: str | Path | None = None
    output_dir: str | Path | None = None
    use_cache: bool | str | None = None
    add_identity_for_other_classes: bool = False
    source: str = "alternative"
    target: str = "diff"
    train_batch_size: int = 32
    base_gradient_batch_size: int | None = None
    gradiend_batch_size: int | None = None
    precompute_gradient_batches: bool | None = None
    precompute_gradient_buffer_size: int = 1
    gradient_timing_steps: int = 0
    runtime_monitor: bool = False
    runtime_monitor_interval: float = 5.0
    runtime_monitor_system_stats: bool = True
    train_max_size: int | None = None
    learning_rate: float | str = 1e-5
    lr_search_config: Any = None
    num_train_epochs: int = 3
    max_steps: int = -1
    weight_decay: float = 1e-2
    adam_epsilon: float = 1e-8
    optim: str = "adamw"
    criterion: Any = field(default=None, repr=False)
    eval_strategy: str = "steps"
    eval_steps: int = 250
    encoder_eval_train_max_size: int | None = None
    encoder_eval_max_size: int | None = None
    encoder_eval_balance: bool = True
    include_other_classes: bool = False
    seed_selection_eval_max_size: int | None = None
    decoder_eval_max_size_training_like: int | None = None
    decoder_eval_max_size_neutral: int | None = None
    decoder_eval_lrs: Sequence[float] | None = None
    decoder_eval_feature_factors: Sequence[float] | None = None
    eval_batch_size: int = 32
    do_eval: bool = True
    evaluate_fn: Callable[..., Any] | None = field(default=None, repr=False)
    save_strategy: str = "best"
    save_steps: int = 5000
    save_only_best: bool = True
    delete_models: bool = False
    trust_remote_code: bool = False
    dataset_trust_remote_code: bool | None = None
    model_use_cache: bool = False
    prediction_objective: str = "auto"
    mask_placeholder: str = MASK
    decoder_mlm_head_epochs: int = 5
    decoder_mlm_head_batch_size: int = 4
    decoder_mlm_head_lr: float = 1e-4
    decoder_mlm_head_max_size: int | None = None
    decoder_sequence_cloze_rhs_window: int = -1
    params: Sequence[str] | None = None
    activation_encoder: str | None = None
    activation_decoder: str | None = None
    bias_decoder: bool | None = None
    latent_dim: int | None = None
    normalize_gradiend: bool = True
    positive_class: str | None = None
    torch_dtype: Any = None
    base_model_device_map: bool | str | Mapping[str, Any] | None = None
    base_model_max_memory: Mapping[Any, Any] | None = None
    encoder_decoder_same_device: bool = False
    max_seeds: int = 3
    min_convergent_seeds: int | None = 1
    convergent_metric: str | None = None
    convergent_score_threshold: float | None = None
    convergent_mean_by_class_threshold: float | None = None
    split_resplit_per_seed: bool = False
    split_resplit_strategy: str = "random"
    seed: int | None = 0
    seed_runs_dir: str | Path | None = None
    saved_seed_runs: str = "all_convergent"
    seed_stability_topk: int | float | None = 1000
    seed_stability_part: str = "decoder-weight"
    analyze_seed_stability: bool = False
    supervised_encoder: bool = False
    supervised_decoder: bool = False
    use_cached_gradients: bool = False
    pre_prune_config: PrePruneConfig | None = None
    reuse_pre_prune: bool = False
    fail_on_non_convergence: bool = False
    highlight_non_convergence: bool = True
    post_prune_config: PostPruneConfig | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill in what depends on other fields, and check. Raises BadGrid or NotAllowed with the field in question."""
        self._refuse_what_is_not_here()
        self._check_values()
        if self.base_gradient_batch_size is None:
            self.base_gradient_batch_size = self.train_batch_size
        if self.gradiend_batch_size is None:
            self.gradiend_batch_size = 1
        if self.metric == "correlation":
            if self.convergent_score_threshold is None:
                self.convergent_score_threshold = 0.5
            if self.convergent_mean_by_class_threshold is None:
                self.convergent_mean_by_class_threshold = 0.5

    @property
    def metric(self) -> str:
        """What convergence is measured by: "correlation" or "loss"."""
        return (self.convergent_metric or "correlation").lower()

    @property
    def step_size(self) -> float:
        """The learning rate as a number."""
        return float(self.learning_rate)

    @property
    def dtype_name(self) -> str:
        """The dtype of model and GRADIEND as a word: "float32", "bfloat16", ..."""
        return "float32" if self.torch_dtype is None else str(self.torch_dtype).removeprefix("torch.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without functions and tensors; `from_dict` reads them back."""
        content: dict[str, Any] = {}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name in ("evaluate_fn", "criterion"):
                continue
            if isinstance(value, (PrePruneConfig, PostPruneConfig)):
                value = asdict(value) | ({"mask": None} if isinstance(value, PostPruneConfig) else {})
            elif isinstance(value, Path):
                value = str(value)
            elif entry.name == "torch_dtype":
                value = f"torch.{self.dtype_name}"
            elif isinstance(value, tuple):
                value = list(value)
            content[entry.name] = value
        return content

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> TrainingArguments:
        """From `to_dict`, or from the `training_args` of a training.json; what is no field is left out."""
        known = {entry.name for entry in fields(cls)}
        values = {name: value for name, value in d.items() if name in known}
        for name, kind in (("pre_prune_config", PrePruneConfig), ("post_prune_config", PostPruneConfig)):
            if isinstance(values.get(name), Mapping):
                values[name] = kind(**values[name])
        return cls(**values)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of the field `key`, or `default` where there is no such field."""
        return vars(self).get(key, default)

    def _refuse_what_is_not_here(self) -> None:
        if isinstance(self.learning_rate, str):
            raise NotAllowed(
                f"learning_rate={self.learning_rate!r} is not here: give a number; 1e-4 is a good first guess."
            )
        for name, (default, advice) in NOT_HERE.items():
            value = getattr(self, name)
            if value is not default and not (isinstance(value, bool | int) and value == default):
                raise NotAllowed(f"{name}={shown(value)}: {advice}.")

    def _check_values(self) -> None:
        for name in POSITIVE:
            value = getattr(self, name)
            optional = name in ("base_gradient_batch_size", "gradiend_batch_size", "latent_dim")
            check_whole(name, value, 1, optional=optional)
        for name in CAPS:
            check_whole(name, getattr(self, name), 0, optional=True)
        for name in ("max_steps", "eval_steps", "save_steps"):
            check_whole(name, getattr(self, name), -1)
        check_whole("seed", self.seed, 0, optional=True)
        for entry in fields(self):  # numpy's numbers and flags are taken, and written as Python's
            value = getattr(self, entry.name)
            if isinstance(value, np.integer | np.bool_):
                setattr(self, entry.name, value.item())
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise BadGrid(f"{name} must be True or False, not {getattr(self, name)!r}.")
        for name in ("experiment_dir", "output_dir", "seed_runs_dir"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, (str, Path)):
                raise BadGrid(f"{name} must be a path or None, not {shown(value)}.")
            check_text(name, value)
        for name, (kinds, word) in OPTIONAL.items():
            if getattr(self, name) is not None and not isinstance(getattr(self, name), kinds):
                raise BadGrid(f"{name} must be {word} or None, not {shown(getattr(self, name))}.")
        if self.torch_dtype is not None and self.dtype_name not in DTYPE_NAMES:
            raise BadGrid(f"torch_dtype must be one of {', '.join(DTYPE_NAMES)}, not {shown(self.torch_dtype)}.")
        self._check_choices()
        self._check_seeds()
        for name in ("learning_rate", "weight_decay", "adam_epsilon"):
            setattr(self, name, _number(name, getattr(self, name), 0.0))
        for name in ("convergent_score_threshold", "convergent_mean_by_class_threshold"):
            if getattr(self, name) is not None:
                setattr(self, name, _number(name, getattr(self, name)))
        for name, kind in (("pre_prune_config", PrePruneConfig), ("post_prune_config", PostPruneConfig)):
            if not isinstance(getattr(self, name), (kind, type(None))):
                raise BadGrid(f"{name} must be a {kind.__name__} or None, not {getattr(self, name)!r}.")

    def _check_choices(self) -> None:
        choices: dict[str, tuple[Any, ...]] = {
            "source": SOURCES,
            "target": SOURCES,
            "use_cache": CACHE_POLICIES,
            "eval_strategy": ("steps", "no"),
            "save_strategy": ("best", "steps", "no"),
            "saved_seed_runs": SAVED,
            "split_resplit_strategy": ("random", "balanced_cycle"),
            "optim": OPTIMIZERS,
            "convergent_metric": (None, *METRICS),
        }
        for name, accepted in choices.items():
            value = getattr(self, name)
            spelled = value.strip().lower() if isinstance(value, str) else value
            if not any(spelled is one or (isinstance(one, str) and spelled == one) for one in accepted):
                raise BadGrid(f"{name} must be one of {', '.join(map(repr, accepted))}, not {value!r}.")
        if not isinstance(self.mask_placeholder, str) or not self.mask_placeholder:
            raise BadGrid(f"mask_placeholder must be a text, such as {MASK!r}, not {self.mask_placeholder!r}.")
        if isinstance(self.params, str):
            raise BadGrid(f"params must be a list of names, not the text {self.params!r}: write [{self.params!r}].")
        if self.params is not None:
            names = items_of(self.params)
            if names is None:
                raise BadGrid(f"params must be a list of parameter names or wildcards, not {shown(self.params)}.")
            self.params = list(names)
            if not all(isinstance(name, str) for name in self.params):
                raise BadGrid(f"params must be a list of parameter names or wildcards, not {self.params!r}.")

    def _check_seeds(self) -> None:
        if self.min_convergent_seeds is not None:
            check_whole("min_convergent_seeds", self.min_convergent_seeds, 1)
            if self.min_convergent_seeds > self.max_seeds:
                raise BadGrid(
                    f"min_convergent_seeds ({self.min_convergent_seeds}) cannot be more than max_seeds "
                    f"({self.max_seeds}): raise max_seeds, or give None to try all."
                )
        if self.metric == "loss" and self.convergent_score_threshold is None:
            raise BadGrid("convergent_metric 'loss' needs convergent_score_threshold: the loss that is low enough.")


def check_whole(name: str, value: object, least: int, *, optional: bool = False) -> None:
    """Raises BadGrid unless `value` is a whole number from `least` on, or None where that is optional."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise BadGrid(f"{name} must be a whole number from {least}{' or None' if optional else ''}, not {value!r}.")


def _number(name: str, value: object, least: float = -math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value) or value < least:
        raise BadGrid(f"{name} must be a number{f' from {least:g}' if least == 0 else ''}, not {value!r}.")
    return float(value)


def arguments_with(arguments: TrainingArguments, changes: Mapping[str, Any]) -> TrainingArguments:
    """The same arguments with some changed, as `train(max_steps=...)` asks. Raises BadGrid for an unknown name."""
    known = {entry.name for entry in fields(arguments)}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise BadGrid(f"{unknown[0]!r} is no training argument. {nearest(unknown[0], sorted(known))}")
    values = {entry.name: getattr(arguments, entry.name) for entry in fields(arguments)}
    if "train_batch_size" in changes and values["base_gradient_batch_size"] == arguments.train_batch_size:
        values["base_gradient_batch_size"] = None
    return TrainingArguments(**{**values, **changes})
