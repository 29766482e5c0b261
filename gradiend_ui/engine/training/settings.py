"""What a training is asked for: plain, checked values. Knows no tensors and no model."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gradiend_ui.engine.checkpoint.config import ACTIVATION_FIELDS, ACTIVATIONS
from gradiend_ui.engine.errors import BadGrid, refusing_class
from gradiend_ui.engine.values import SOURCES, WEIGHT_PARTS

OPTIMIZERS = ("adamw", "adam")
SAVED = ("best_only", "all_convergent", "all_tried")
METRICS = ("correlation", "loss")


@refusing_class()
@dataclass(frozen=True)
class PrePruneConfig:
    """Before training, keep the weights whose mean gradient over `n_samples` rows is largest in absolute value.

    topk: a whole number of weights, or a share in (0, 1] as a float (1.0 keeps all); threshold: least |mean|.
    source: whose gradients are averaged. seed: of the draw of rows, half of each class of the pair; None: the run's.
    batch_size, feature_class_key, use_cached_gradients and use_streaming are the reference's; they change no number
    and are accepted as they are. dataset must be None: the training's rows are used. Raises BadGrid.
    Source of the rule: `gradiend` 0.2.3.
    """

    n_samples: int = 8
    topk: int | float | None = 0.1
    threshold: float | None = None
    source: str = "alternative"
    batch_size: int = 8
    feature_class_key: str = "feature_class_id"
    target_feature_class_ids: list[Any] | None = None
    dataset: Any = None
    use_cached_gradients: bool = False
    seed: int | None = None
    use_streaming: bool | None = None

    def __post_init__(self) -> None:
        _check_selection("PrePruneConfig", self.topk, self.threshold, others=False)
        _check_count("PrePruneConfig.n_samples", self.n_samples, 1)
        _check_count("PrePruneConfig.batch_size", self.batch_size, 1)
        if self.source not in SOURCES:
            raise BadGrid(f"PrePruneConfig.source must be one of {', '.join(SOURCES)}, not {self.source!r}.")
        if self.dataset is not None or self.target_feature_class_ids is not None:
            raise BadGrid("PrePruneConfig: dataset and target_feature_class_ids must be None; the rows are the run's.")

    @property
    def keeps_all(self) -> bool:
        """Whether nothing would be pruned: topk 1.0 and no threshold."""
        return self.threshold is None and isinstance(self.topk, float) and self.topk >= 1.0


@refusing_class()
@dataclass(frozen=True)
class PostPruneConfig:
    """After training, keep the weights that matter most by `part`; see `PrePruneConfig` for topk and threshold.

    part: "decoder-weight", "encoder-weight", "decoder-bias" or "decoder-sum", whose absolute values count.
    mask: bool (input_dim,) of weights that may stay. inplace and return_mask are the reference's and change nothing.
    Raises BadGrid.
    """

    topk: int | float | None = 0.01
    threshold: float | None = None
    mask: Any = None
    part: str = "decoder-weight"
    inplace: bool = True
    return_mask: bool = False

    def __post_init__(self) -> None:
        _check_selection("PostPruneConfig", self.topk, self.threshold, others=self.mask is not None)
        if self.part not in WEIGHT_PARTS:
            raise BadGrid(f"PostPruneConfig.part must be one of {', '.join(WEIGHT_PARTS)}, not {self.part!r}.")


@dataclass(frozen=True)
class Convergence:
    """When a run counts as converged: its best step comes after step 0 and its score reaches `threshold`.

    metric "correlation": at least `threshold`, the class means of opposite signs and each at least `mean_threshold`
    in absolute value (None: not asked). metric "loss": at most `threshold`.
    """

    metric: str = "correlation"
    threshold: float | None = 0.5
    mean_threshold: float | None = 0.5
    min_seeds: int | None = 1


@dataclass(frozen=True)
class TrainingSettings:
    """All that decides the numbers of one training run; defaults are the reference's.

    source, target: which gradients go in and which come out: "factual", "alternative" or "diff" (their difference).
    base_gradient_batch_size: rows in one gradient; gradiend_batch_size: gradients in one step.
    max_steps: at most so many steps, -1: as many as num_train_epochs holds. eval_steps: steps between evaluations.
    params: names or wildcards (`*`) of the parameters that are mapped; None: the whole backbone.
    seed: of the initial weights and the draw of pre-pruning. data_seed: of the order of the rows, which several
    seeds of one run share.
    """

    source: str = "alternative"
    target: str = "diff"
    base_gradient_batch_size: int = 32
    gradiend_batch_size: int = 1
    learning_rate: float = 1e-5
    num_train_epochs: int = 3
    max_steps: int = -1
    weight_decay: float = 1e-2
    adam_epsilon: float = 1e-8
    optim: str = "adamw"
    do_eval: bool = True
    eval_steps: int = 250
    encoder_eval_balance: bool = True
    normalize: bool = True
    save_only_best: bool = True
    save_every: int | None = None
    latent_dim: int = 1
    activation_encoder: str = "tanh"
    activation_decoder: str = "id"
    bias_decoder: bool = True
    params: tuple[str, ...] | None = None
    torch_dtype: str = "float32"
    seed: int = 0
    data_seed: int = 0
    pre_prune: PrePruneConfig | None = None
    post_prune: PostPruneConfig | None = None
    convergence: Convergence = field(default_factory=Convergence)

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            if getattr(self, name) not in SOURCES:
                raise BadGrid(f"{name} must be one of {', '.join(SOURCES)}, not {getattr(self, name)!r}.")
        counts = ("base_gradient_batch_size", "gradiend_batch_size", "num_train_epochs", "latent_dim")
        for name in counts:
            _check_count(name, getattr(self, name), 1)
        if self.learning_rate <= 0 or not math.isfinite(self.learning_rate):
            raise BadGrid(f"learning_rate must be a number above 0, not {self.learning_rate!r}.")
        if self.optim.lower() not in OPTIMIZERS:
            raise BadGrid(f"optim must be one of {', '.join(OPTIMIZERS)}, not {self.optim!r}.")
        for name in ACTIVATION_FIELDS:
            if getattr(self, name) not in ACTIVATIONS:
                raise BadGrid(f"{name} must be one of {', '.join(ACTIVATIONS)}, not {getattr(self, name)!r}.")
        if self.activation_encoder == "id" and self.latent_dim != 1:
            raise BadGrid("activation_encoder 'id' normalises one value: it needs latent_dim 1.")

    def with_seed(self, seed: int) -> TrainingSettings:
        """The same run from other initial weights (and another draw for pre-pruning)."""
        return replace(self, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; of a mask only a fingerprint."""
        plain = asdict(self)
        if self.post_prune is not None and self.post_prune.mask is not None:
            plain["post_prune"]["mask"] = hashlib.sha256(str(list(map(int, self.post_prune.mask))).encode()).hexdigest()
        return plain


def _check_selection(owner: str, topk: int | float | None, threshold: float | None, *, others: bool) -> None:
    if topk is None and threshold is None and not others:
        raise BadGrid(f"{owner} needs topk or threshold{' or mask' if owner.startswith('Post') else ''}.")
    if topk is not None:
        whole = isinstance(topk, int) and not isinstance(topk, bool) and topk >= 1
        share = isinstance(topk, float) and 0.0 < topk <= 1.0
        if not (whole or share):
            raise BadGrid(f"{owner}.topk must be a whole number from 1, or a share in (0, 1] as a float, not {topk!r}.")
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if threshold is not None and not (number and threshold >= 0):
        raise BadGrid(f"{owner}.threshold must be a number from 0, not {threshold!r}.")


def _check_count(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadGrid(f"{name} must be a whole number from {least}, not {value!r}.")


def check_finite(name: str, values: Mapping[str, float]) -> None:
    """Raises BadGrid when one of the values is not finite: the training has diverged."""
    for key, value in values.items():
        if not math.isfinite(value):
            raise BadGrid(f"{name}: {key} is {value}. The training diverged: try a smaller learning_rate.")
