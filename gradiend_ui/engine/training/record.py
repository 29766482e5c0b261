"""What a training leaves behind: training.json in the reference's layout, and the folder with the trained weights.

Writes and reads back; knows JSON values, files, and a trained GRADIEND on its way to the disk. Trains nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradiend_ui.engine.checkpoint.autoencoder import Autoencoder
from gradiend_ui.engine.checkpoint.config import DECODER_BIAS, DECODER_WEIGHT, ENCODER_WEIGHT, Architecture
from gradiend_ui.engine.checkpoint.importance import kept_mask, weight_importance
from gradiend_ui.engine.checkpoint.reading import load_tensors, read_checkpoint
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.errors import BadCheckpoint, refusing
from gradiend_ui.engine.files.whole_or_absent import write_whole
from gradiend_ui.engine.training.initial import ParameterMap
from gradiend_ui.engine.training.settings import Convergence, PostPruneConfig

FLIPPED = ("mean_by_class", "mean_by_feature_class", "mean_by_target", "mean_by_eval_group", "mean_by_type")
FLIPPED_ENDS = (("min", "max"), ("q1", "q3"))
ROWS = "training_rows"
"""Every encoded row of an evaluation, by the reference's name."""
MOST_ROWS = 10_000
"""Of all evaluations of a run together, so that training.json can be read again; the best step's rows are kept."""


@dataclass
class History:
    """The statistics of one run as they grow: per evaluated step every measure, per step loss and norms."""

    by_step: dict[str, dict[int, Any]] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    encoder_norms: dict[int, float] = field(default_factory=dict)
    decoder_norms: dict[int, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    class_names: dict[float, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(
        default_factory=lambda: {"data_preparation": 0.0, "model_with_gradiend": 0.0, "eval": 0.0, "total": 0.0}
    )
    best_step: int | None = None
    best_score: float | None = None
    best_epoch: int | None = None

    @property
    def step(self) -> int:
        """How many steps were made."""
        return len(self.losses)

    def add_evaluation(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Note the measures of `step`."""
        for name, value in metrics.items():
            if name == "label_value_to_class_name":
                self.class_names = dict(value)
            elif name != "correlation":
                self.by_step.setdefault(str(name), {})[step] = value
        self._keep_few_rows(step)
        self.scores[step] = float(metrics["correlation"])

    def _keep_few_rows(self, step: int) -> None:
        """Forget the rows of the oldest evaluations beyond `MOST_ROWS`, but not those of the best and the newest."""
        kept = self.by_step.get(ROWS, {})
        for old in list(kept):
            if sum(map(len, kept.values())) > MOST_ROWS and old not in (step, self.best_step):
                del kept[old]

    def improves(self, score: float) -> bool:
        """Whether a correlation is larger, in absolute value, than the best so far."""
        return self.best_score is None or abs(score) > abs(self.best_score)

    def training_stats(self) -> dict[str, Any]:
        """The object `training_stats` of training.json."""
        last = max(self.scores, default=None)
        return {
            "global_step": self.step,
            "correlation": -1.0 if last is None else self.scores[last],
            "scores": self.scores,
            "encoder_norms": self.encoder_norms,
            "decoder_norms": self.decoder_norms,
            "label_value_to_class_name": self.class_names,
            **self.by_step,
        }

    def best_checkpoint(self) -> dict[str, Any]:
        """The object `best_score_checkpoint`."""
        return {"correlation": self.best_score, "global_step": self.best_step, "epoch": self.best_epoch}

    def means_at_best(self, name: str = "mean_by_class") -> dict[Any, float]:
        """{label or class: mean encoded value} at the best step."""
        found: dict[Any, float] = self.by_step.get(name, {}).get(-1 if self.best_step is None else self.best_step, {})
        return found


def flipped(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The measures as they are once the encoder's sign is turned around."""
    turned = dict(metrics)
    turned["correlation"] = -float(metrics["correlation"])
    if ROWS in metrics:
        turned[ROWS] = [{**row, "encoded": _opposite(row["encoded"])} for row in metrics[ROWS]]
    for name in FLIPPED:
        if name in metrics:
            turned[name] = _negative(metrics[name])
    for low, high in FLIPPED_ENDS:
        for suffix in ("class", "feature_class"):
            one, other = f"{low}_by_{suffix}", f"{high}_by_{suffix}"
            if one in metrics:
                turned[one], turned[other] = _negative(metrics[other]), _negative(metrics[one])
    return turned


def _opposite(encoded: float | list[float]) -> float | list[float]:
    return [-value for value in encoded] if isinstance(encoded, list) else -encoded


def _negative(values: Mapping[Any, Any]) -> dict[Any, Any]:
    return {name: _negative(value) if isinstance(value, Mapping) else -value for name, value in values.items()}


def least_class_mean(means: Mapping[Any, float]) -> float | None:
    """The smaller |mean| of the two classes; None without any. Rows without a class (label 0) do not count."""
    sizes = [abs(value) for label, value in means.items() if float(label) != 0]
    return min(sizes) if sizes else None


def has_converged(history: History, rule: Convergence) -> bool:
    """Whether the run's best step satisfies `rule` (see `Convergence`)."""
    if rule.threshold is None:
        return True
    if not history.best_step:
        return False
    if rule.metric == "loss":
        losses = history.losses
        return bool(losses) and losses[history.best_step - 1] <= rule.threshold
    means = history.means_at_best()
    signs = [value for label, value in means.items() if float(label) != 0]
    opposite = len(signs) == 2 and signs[0] * signs[1] < 0
    least = least_class_mean(means)
    far = rule.mean_threshold is None or (least is not None and least >= rule.mean_threshold)
    return abs(history.best_score or 0.0) >= rule.threshold and far and opposite


def convergence_info(history: History, rule: Convergence) -> dict[str, Any]:
    """The object `convergence_info` of a single run."""
    converged = has_converged(history, rule)
    return {
        "converged": converged,
        "convergent_count": int(converged),
        "min_convergent_seeds": rule.min_seeds,
        "convergence_metric": rule.metric,
        "threshold": rule.threshold,
        "convergent_mean_by_class_threshold": rule.mean_threshold,
        "convergent_min_target_class_abs_mean": least_class_mean(history.means_at_best()),
    }


def run_record(
    history: History, rule: Convergence, training_args: Mapping[str, Any], fingerprint: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole of training.json."""
    record: dict[str, Any] = jsonable(
        {
            "training_stats": history.training_stats(),
            "best_score_checkpoint": history.best_checkpoint(),
            "training_args": training_args,
            "time": history.seconds,
            "losses": history.losses,
            "abs_mean_by_type": history.means_at_best("abs_mean_by_type"),
            "convergence_info": convergence_info(history, rule),
            "cache_fingerprint": fingerprint,
        }
    )
    return record


def jsonable(value: Any) -> Any:
    """Plain JSON values: keys as text, numpy scalars and arrays as Python's, paths as text."""
    if isinstance(value, Mapping):
        return {str(name): jsonable(inside) for name, inside in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [jsonable(inside) for inside in value]
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


@refusing()
def load_training_stats(model_path: str | Path) -> dict[str, Any] | None:
    """training.json of a checkpoint or run folder, steps as text; None when there is none.

    model_path: the folder.
    Raises BadCheckpoint when the file is damaged.
    """
    path = next(
        (place for place in (Path(model_path) / "training.json", Path(model_path) / "model" / "training.json") if
         place.is_file()),
        None,
    )  # fmt: skip
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path.name} cannot be read: {error}. Train again.") from error
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{path.name} holds no JSON object. Train again.")
    stats = content.get("training_stats")
    for name in ("encoder_norms", "decoder_norms"):
        if isinstance(stats, dict) and isinstance(stats.get(name), list):
            stats[name] = {str(number): value for number, value in enumerate(stats[name], start=1)}
    content.setdefault("abs_mean_by_type", {})
    return content


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all. Raises Failed when the disk refuses."""
    write_whole(path, json.dumps(jsonable(content), indent=2))


@dataclass(frozen=True)
class GradiendFiles:
    """What a checkpoint folder will hold."""

    architecture: Architecture
    weights: Mapping[str, Tensor]
    map: ParameterMap
    metadata: Mapping[str, Any]
    context: Mapping[str, Any]
    training: Mapping[str, Any] | None = None

    def save(self, folder: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        save_checkpoint(
            folder,
            architecture=self.architecture,
            weights=self.weights,
            shapes=self.map.shapes,
            positions=self.map.positions,
            metadata=self.metadata,
            context=self.context,
            training=self.training,
        )

    def with_weights_of(self, folder: Path) -> GradiendFiles:
        """The same with the weights of a checkpoint that was saved on the way."""
        weights, _ = load_tensors(read_checkpoint(folder))
        return replace(self, weights=weights)


def post_pruned(files: GradiendFiles, config: PostPruneConfig) -> GradiendFiles:
    """Only the weights that `config` keeps. Raises BadGrid when none would be left."""
    gradiend = Autoencoder(files.architecture, files.weights)
    kept = kept_mask(
        files.architecture.input_dim,
        importance=weight_importance(gradiend, config.part),
        topk=None if isinstance(config.topk, float) and config.topk >= 1.0 and config.mask is not None else config.topk,
        threshold=config.threshold,
        mask=None if config.mask is None else torch.as_tensor(config.mask, dtype=torch.bool),
    )
    chosen = kept.nonzero().flatten()
    weights = {name: tensor.detach().cpu() for name, tensor in files.weights.items()}
    weights[ENCODER_WEIGHT] = weights[ENCODER_WEIGHT][:, chosen]
    weights[DECODER_WEIGHT] = weights[DECODER_WEIGHT][chosen]
    if DECODER_BIAS in weights:
        weights[DECODER_BIAS] = weights[DECODER_BIAS][chosen]
    architecture = replace(files.architecture, input_dim=chosen.numel())
    return replace(files, architecture=architecture, weights=weights, map=files.map.keeping(kept))
