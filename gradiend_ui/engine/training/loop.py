"""One training run: encoder and decoder learn to bring source gradients to target gradients.

A generator of steps. Evaluates every n steps, keeps the best step on disk, turns the encoder's sign around when it
correlates negatively, can be stopped and goes on bit-identically. What is trained on is decided by rows and settings
alone: no global generator is read or changed. Source: arXiv 2502.01406; order of all things: `gradiend` 0.2.3.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.checkpoint.autoencoder import Autoencoder
from gradiend_ui.engine.checkpoint.config import DECODER_BIAS, DECODER_WEIGHT, ENCODER_BIAS, ENCODER_WEIGHT
from gradiend_ui.engine.checkpoint.reading import DTYPES
from gradiend_ui.engine.checkpoint.writing import checked_place
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.errors import BadBase, BadData
from gradiend_ui.engine.training.batches import Pair, Schedule, evaluation_order, examples_of, training_schedule
from gradiend_ui.engine.training.encoder_evaluation import RowEncoder
from gradiend_ui.engine.training.encoder_metrics import encoder_metrics
from gradiend_ui.engine.training.gradients import GradientReader, of_kind
from gradiend_ui.engine.training.initial import (
    ParameterMap,
    architecture_for,
    initial_weights,
    kept_entries,
    mean_gradient,
    parameter_map,
    sampled_examples,
)
from gradiend_ui.engine.training.interruption import (
    BEST_FOLDER,
    Interrupted,
    forget,
    load_interrupted,
    save_interrupted,
    working_folder,
)
from gradiend_ui.engine.training.record import (
    ROWS,
    GradiendFiles,
    History,
    flipped,
    post_pruned,
    run_record,
    write_json,
)
from gradiend_ui.engine.training.settings import TrainingSettings, check_finite

TURN_BELOW = -0.6
"""An encoder that correlates less than this is turned around: the pair's first class then lies at +1."""
NEVER: Callable[[], bool] = lambda: False  # noqa: E731


@dataclass(frozen=True)
class TrainingStep:
    """What happened last in a run.

    step: 0 before the first step, then 1 to steps_total. loss: of this step, None at step 0.
    evaluation: the encoder's measures when this step was evaluated (correlation in [-1, 1], mean_by_class, ...).
    best_correlation, best_step: so far, None before an evaluation. folder: the finished checkpoint, in the last one.
    """

    seed: int
    step: int
    steps_total: int
    loss: float | None
    evaluation: Mapping[str, Any] | None
    best_correlation: float | None
    best_step: int | None
    folder: Path | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that a run is made of but the base model.

    rows: trained on. evaluation_rows: the encoder is evaluated on these during the training (may be empty).
    pair: the first is encoded towards +1, the second towards -1; classes: others of the data, encoded towards 0.
    training_args: written to training.json as they are, beside what the settings say.
    base_location: a path or Hub id that is written as metadata.base_model.
    """

    rows: Sequence[EvalRow]
    evaluation_rows: Sequence[EvalRow]
    pair: Pair
    settings: TrainingSettings
    base_location: str
    classes: Sequence[str] = ()
    training_args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def context(self) -> dict[str, Any]:
        """The content of gradiend_context.json."""
        direction = dict.fromkeys(self.classes, 0) | {self.pair[0]: 1, self.pair[1]: -1}
        return {
            "source": self.settings.source,
            "target": self.settings.target,
            "feature_class_encoding_direction": direction,
        }

    def fingerprint(self, base: BaseModel) -> str:
        """Equal only for runs that give the same numbers."""
        return self.fingerprints(base)[0]

    def fingerprints(self, base: BaseModel) -> tuple[str, str]:
        """The fingerprint, and as versions before this one spelled it (see `BaseModel.fingerprints`)."""
        settings = json.dumps(self.settings.to_dict(), sort_keys=True, default=str)
        rest = repr((tuple(self.rows), tuple(self.evaluation_rows), self.pair, base.rhs_window))
        today, former = (hashlib.sha256(f"{name}{settings}{rest}".encode()) for name in base.fingerprints())
        return today.hexdigest(), former.hexdigest()


def train_gradiend(
    base: BaseModel, plan: TrainingPlan, output_dir: Path, *, should_stop: Callable[[], bool] = NEVER
) -> Iterator[TrainingStep]:
    """Train and write the best step to `output_dir`; yields step 0, every step, and a last one with the folder.

    should_stop is asked after every step: when true the state is written and the generator ends without a folder. The
    same call goes on from there later, and ends with the same bits as an uninterrupted run.
    Raises BadBase, BadData, BadGrid before the first step when something cannot be trained on; Failed for the disk.
    """
    run = _Run(base, plan, output_dir)
    yield from run.steps(should_stop)


class _Run:
    """The moving parts of one run."""

    def __init__(self, base: BaseModel, plan: TrainingPlan, output_dir: Path) -> None:
        if not plan.rows:
            raise BadData("There is no row to train on: give rows of the split 'train'.")
        checked_place(output_dir)  # before the first step
        self.base, self.plan, self.settings, self.output_dir = base, plan, plan.settings, output_dir
        self.folder = working_folder(output_dir)
        self.fingerprint = plan.fingerprint(base)
        self.dtype = _dtype(self.settings, base)
        examples = examples_of(plan.rows, plan.pair)
        self.schedule = training_schedule(examples, self.settings.base_gradient_batch_size, self.settings.data_seed)
        self.steps_per_epoch = -(-len(self.schedule) // self.settings.gradiend_batch_size)
        planned = self.settings.num_train_epochs * self.steps_per_epoch
        self.steps_total = min(planned, self.settings.max_steps) if self.settings.max_steps > 0 else planned
        left = load_interrupted(self.folder, plan.fingerprints(base))
        if left is None:
            forget(self.folder)
        whole = parameter_map(base, self.settings.params)
        if left is not None:
            self.map = ParameterMap(whole.shapes, left.positions)
        else:
            self.map = _pre_pruned(base, whole, plan)
        self.reader = GradientReader(base, self.map.mapped, examples[0])
        self.architecture = architecture_for(self.settings, self.map.size)
        drawn = initial_weights(self.architecture, self.dtype, self.settings.seed) if left is None else left.weights
        self.weights = {
            name: torch.nn.Parameter(tensor.to(base.model.device, copy=True)) for name, tensor in drawn.items()
        }
        self.gradiend = Autoencoder(self.architecture, self.weights)
        self.optimizer = _optimizer(self.settings, list(self.weights.values()))
        self.history = History() if left is None else left.history
        if left is not None:
            self.optimizer.load_state_dict(left.optimizer)
        self.resumed = left is not None
        self.evaluated = self._row_encoder()

    def _row_encoder(self) -> RowEncoder | None:
        settings = self.settings
        if not (settings.do_eval and settings.eval_steps > 0 and self.plan.evaluation_rows):
            return None
        examples = examples_of(self.plan.evaluation_rows, self.plan.pair)
        order = evaluation_order(examples, settings.source, settings.encoder_eval_balance, settings.data_seed)
        return RowEncoder(self.reader, order, settings.source)

    def steps(self, should_stop: Callable[[], bool]) -> Iterator[TrainingStep]:
        """See `train_gradiend`."""
        started, before = time.monotonic(), self.history.seconds["total"]
        if not self.resumed:
            yield self._step(None, self._evaluate(0) if self.evaluated else None)
        while self.history.step < self.steps_total:
            if should_stop():
                self.history.seconds["total"] = before + time.monotonic() - started
                self._save_state()
                return
            loss = self._learn()
            step = self.history.step
            self.history.seconds["total"] = before + time.monotonic() - started
            due = self.evaluated is not None and (step % self.settings.eval_steps == 0 or step == self.steps_total)
            evaluation = self._evaluate(step) if due else None
            if due:
                self._save_state()
            if self.settings.save_every and step % self.settings.save_every == 0:
                self._files(None).save(self.output_dir.with_name(f"{self.output_dir.name}_step_{step}"))
            yield self._step(loss, evaluation)
        self._finish()
        yield self._step(None, None, self.output_dir)

    def _step(
        self, loss: float | None, evaluation: Mapping[str, Any] | None, folder: Path | None = None
    ) -> TrainingStep:
        history = self.history
        return TrainingStep(
            self.settings.seed,
            history.step,
            self.steps_total,
            loss,
            evaluation,
            history.best_score,
            history.best_step,
            folder,
        )

    def _learn(self) -> float:
        """One step of the optimiser; returns its loss."""
        started = time.monotonic()
        source, target = self._gradients()
        prepared = time.monotonic()
        loss = functional.mse_loss(self.gradiend.decoder(self.gradiend.encoder(source)), target)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        value = float(loss.detach())
        check_finite(f"Step {self.history.step + 1}", {"the loss": value})
        history = self.history
        history.losses.append(value)
        history.encoder_norms[history.step] = _norm(self.weights[ENCODER_WEIGHT])
        history.decoder_norms[history.step] = _norm(self.weights[DECODER_WEIGHT])
        history.seconds["data_preparation"] += prepared - started
        history.seconds["model_with_gradiend"] += time.monotonic() - prepared
        return value

    def _gradients(self) -> tuple[Tensor, Tensor]:
        """Source and target gradients of the next step, (gradients in the step, mapped weights)."""
        place = self.history.step % self.steps_per_epoch
        first = place * self.settings.gradiend_batch_size
        last = min(first + self.settings.gradiend_batch_size, len(self.schedule))
        pairs = [self._source_and_target(self.schedule, number) for number in range(first, last)]
        if len(pairs) == 1:
            return pairs[0][0].unsqueeze(0), pairs[0][1].unsqueeze(0)
        return torch.stack([one for one, _ in pairs]), torch.stack([other for _, other in pairs])

    def _source_and_target(self, schedule: Schedule, number: int) -> tuple[Tensor, Tensor]:
        source, target = self.settings.source, self.settings.target
        sides = self.reader.sides(schedule[number], (source, target))
        first = of_kind(sides, source).to(self.dtype)
        return first, first if source == target else of_kind(sides, target).to(self.dtype)

    def _evaluate(self, step: int) -> dict[str, Any]:
        """Measure the encoder, turn it around where needed, and keep it when it is the best so far."""
        assert self.evaluated is not None
        started = time.monotonic()
        table = self.evaluated.table(self.gradiend)
        metrics = {**encoder_metrics(table, self.plan.pair), ROWS: table.to_dict("records")}
        if self.settings.normalize and self.settings.latent_dim == 1 and metrics["correlation"] < TURN_BELOW:
            self._turn_around()
            metrics = flipped(metrics)
        self.history.add_evaluation(step, metrics)
        if self.history.improves(metrics["correlation"]):
            self.history.best_score = metrics["correlation"]
            self.history.best_step = step
            self.history.best_epoch = max(0, step - 1) // self.steps_per_epoch
            if step > 0:
                self._files(None).save(self.folder / BEST_FOLDER)
        self.history.seconds["eval"] += time.monotonic() - started
        return metrics

    def _turn_around(self) -> None:
        with torch.no_grad():
            for name in (ENCODER_WEIGHT, ENCODER_BIAS, DECODER_WEIGHT, DECODER_BIAS):
                if name in self.weights:
                    self.weights[name].neg_()

    def _save_state(self) -> None:
        plain = {name: tensor.detach() for name, tensor in self.weights.items()}
        state = Interrupted(plain, self.optimizer.state_dict(), self.history, dict(self.map.positions))
        save_interrupted(self.folder, self.fingerprint, state)

    def _files(self, training: Mapping[str, Any] | None) -> GradiendFiles:
        metadata = {
            "base_model": self.plan.base_location,
            "prediction_objective": self.base.objective,
            **({"decoder_sequence_cloze_rhs_window": self.base.rhs_window} if self.base.rhs_window >= 0 else {}),
        }
        return GradiendFiles(self.architecture, self.weights, self.map, metadata, self.plan.context, training)

    def _finish(self) -> None:
        """Write the checkpoint: the best step where there is one after step 0, else the last."""
        settings, history = self.settings, self.history
        names = {"seed": settings.data_seed, **settings.to_dict(), **self.plan.training_args}
        fingerprint = {"source": settings.source, "target": settings.target, "run": self.fingerprint}
        record = run_record(history, settings.convergence, names, fingerprint)
        best = self.folder / BEST_FOLDER
        files = self._files(record)
        if history.best_step and best.is_dir():
            kept = files.with_weights_of(best)
            if settings.save_only_best:
                files = kept
            else:
                kept.save(self.output_dir.with_name(f"{self.output_dir.name}_best"))
        if settings.post_prune is not None:
            files = post_pruned(files, settings.post_prune)
        record["cache_fingerprint"]["gradiend_input_dim"] = files.architecture.input_dim
        files.save(self.output_dir)
        forget(self.folder)
        write_json(self.output_dir / "training.json", record)


def _pre_pruned(base: BaseModel, whole: ParameterMap, plan: TrainingPlan) -> ParameterMap:
    config = plan.settings.pre_prune
    if config is None or config.keeps_all:
        return whole
    examples = examples_of(plan.rows, plan.pair)
    reader = GradientReader(base, whole.mapped, examples[0])
    seed = plan.settings.seed if config.seed is None else config.seed
    mean = mean_gradient(reader, sampled_examples(examples, config.n_samples, seed), config.source)
    return whole.keeping(kept_entries(mean.abs(), config))


def _optimizer(settings: TrainingSettings, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if settings.optim.lower() == "adamw" else torch.optim.Adam
    return kind(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, eps=settings.adam_epsilon)


def _dtype(settings: TrainingSettings, base: BaseModel) -> torch.dtype:
    if settings.torch_dtype not in DTYPES:
        raise BadBase(f"torch_dtype must be one of {', '.join(DTYPES)}, not {settings.torch_dtype!r}.")
    return DTYPES[settings.torch_dtype]


def _norm(weight: Tensor) -> float:
    return float(torch.linalg.vector_norm(weight.detach()))
