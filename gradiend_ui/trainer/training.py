"""From `TrainingArguments` and rows to a training of the engine: what `TextPredictionTrainer.train` calls.

Translates names; trains nothing itself.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.base.objectives import OBJECTIVES
from gradiend_ui.engine.data.forms.choice import SPLITS_OF_ROLE, chosen_pair, training_rows
from gradiend_ui.engine.data.forms.unified import UnifiedData
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.errors import BadData, BadName, Failed
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.training.encoder_evaluation import Encoder, evaluate_encoder
from gradiend_ui.engine.training.loop import NEVER, TrainingPlan, TrainingStep, train_gradiend
from gradiend_ui.engine.training.record import load_training_stats
from gradiend_ui.engine.training.seeds import SeedPlan, train_seeds
from gradiend_ui.engine.training.settings import Convergence, TrainingSettings
from gradiend_ui.trainer.arguments import TrainingArguments

log = logging.getLogger(__name__)
BALANCE_OF = {"factual": "label_class", "alternative": "transition", "diff": "transition"}
UNSEEDED_SEEDS = 2**31


def settings_of(args: TrainingArguments) -> TrainingSettings:
    """The engine's settings of one run. Raises BadGrid for values that cannot be trained with."""
    seed = random.SystemRandom().randrange(UNSEEDED_SEEDS) if args.seed is None else args.seed
    return TrainingSettings(
        source=args.source,
        target=args.target,
        base_gradient_batch_size=args.base_gradient_batch_size or args.train_batch_size,
        gradiend_batch_size=args.gradiend_batch_size or 1,
        learning_rate=args.step_size,
        num_train_epochs=args.num_train_epochs,
        max_steps=args.max_steps,
        weight_decay=args.weight_decay,
        adam_epsilon=args.adam_epsilon,
        optim=args.optim,
        do_eval=args.do_eval and args.eval_strategy != "no",
        eval_steps=args.eval_steps,
        encoder_eval_balance=args.encoder_eval_balance,
        normalize=args.normalize_gradiend,
        save_only_best=args.save_only_best,
        save_every=args.save_steps if args.save_strategy == "steps" and args.save_steps > 0 else None,
        latent_dim=args.latent_dim or 1,
        activation_encoder=(args.activation_encoder or "tanh").lower(),
        activation_decoder=(args.activation_decoder or "id").lower(),
        bias_decoder=True if args.bias_decoder is None else args.bias_decoder,
        params=None if not args.params else tuple(args.params),
        torch_dtype=args.dtype_name,
        seed=seed,
        data_seed=42 if args.seed is None else args.seed,
        pre_prune=args.pre_prune_config,
        post_prune=args.post_prune_config,
        convergence=Convergence(
            args.metric,
            args.convergent_score_threshold,
            args.convergent_mean_by_class_threshold,
            args.min_convergent_seeds,
        ),
    )


def evaluation_split(data: UnifiedData) -> str:
    """The split an encoder is evaluated on during training: validation, else test, else train."""
    present = {row.split for row in data.rows}
    return next((name for name in SPLITS_OF_ROLE["eval"] if name in present), min(present))


def evaluation_rows(
    data: UnifiedData, pair: tuple[str, str], args: TrainingArguments, split: str, max_size: int | None
) -> tuple[EvalRow, ...]:
    """The rows an encoder is evaluated on, capped per class as the reference caps them."""
    balance = BALANCE_OF[args.source] if args.encoder_eval_balance else None
    return training_rows(
        data,
        split,
        pair=pair,
        max_size=max_size,
        balance=balance,
        seed=args.seed,
        add_identity=args.add_identity_for_other_classes,
        include_other_classes=args.include_other_classes,
    )


def training_plan(args: TrainingArguments, data: UnifiedData, base_location: str) -> TrainingPlan:
    """Everything a run is made of but the base model. Raises BadData without rows of the split "train"."""
    if not any(row.split == "train" for row in data.rows):
        present = ", ".join(sorted({row.split for row in data.rows}))
        raise BadData(f"A training needs rows of the split 'train'; the data has {present}.")
    pair = chosen_pair(data, "train", None)
    rows = training_rows(
        data,
        "train",
        pair=pair,
        max_size=args.train_max_size,
        seed=args.seed,
        add_identity=args.add_identity_for_other_classes,
    )
    settings = settings_of(args)
    size = args.encoder_eval_train_max_size
    size = args.encoder_eval_max_size if size is None else size
    watched = evaluation_split(data)
    if settings.do_eval and watched == "train":
        log.warning(
            "No row is of the split 'validation' or 'test': the best step is chosen on the rows that are trained on, "
            "so that its correlation says little of other texts. Give some rows another split, or use "
            "split_col=None to have splits drawn."
        )
    evaluated = evaluation_rows(data, pair, args, watched, size) if settings.do_eval else ()
    return TrainingPlan(
        rows=rows,
        evaluation_rows=evaluated,
        pair=pair,
        settings=settings,
        base_location=base_location,
        classes=data.all_classes,
        training_args=args.to_dict(),
    )


def run_training(
    args: TrainingArguments,
    base: BaseModel,
    plan: TrainingPlan,
    data: UnifiedData,
    *,
    should_stop: Callable[[], bool] = NEVER,
) -> Iterator[TrainingStep]:
    """Train as the arguments say, one seed or several; the last step names the folder of the model.

    A model that `use_cache` allows is taken as it is: then there is one step only, with its folder.
    Raises BadName without a place for the model, and what the engine raises.
    """
    output = output_folder(args)
    if may_reuse(args, plan, base, output):
        yield TrainingStep(plan.settings.seed, 0, 0, None, None, None, None, output)
        return
    if args.max_seeds == 1:
        yield from train_gradiend(base, plan, output, should_stop=should_stop)
        _demand_convergence(args, output)
        return
    experiment = Path(args.experiment_dir) if args.experiment_dir is not None else output.parent
    seeds = SeedPlan(
        max_seeds=args.max_seeds,
        first=plan.settings.seed,
        saved=args.saved_seed_runs,
        demand=args.fail_on_non_convergence,
        folder=None if args.seed_runs_dir is None else Path(args.seed_runs_dir),
        selection=_selection(args, base, plan, data),
        share_pruning=args.reuse_pre_prune,
        reuse=args.use_cache not in (None, False),
    )
    yield from train_seeds(base, plan, seeds, experiment, output_dir=output, should_stop=should_stop)


def base_to_train_on(location: str, args: TrainingArguments) -> BaseModel:
    """The base model at `location`, loaded as the arguments say. Raises BadData for what is not trained with here."""
    asked = OBJECTIVES.get(args.prediction_objective)
    if asked is not None and asked.not_trained is not None:
        raise BadData(asked.not_trained)
    return load_base_model(
        location,
        torch_dtype=getattr(torch, args.dtype_name),
        objective=args.prediction_objective,
        rhs_window=args.decoder_sequence_cloze_rhs_window,
        device_map=device_map_of(args),
    )


def device_map_of(args: TrainingArguments) -> Any:
    return args.base_model_device_map or None


def output_folder(args: TrainingArguments) -> Path:
    """Where the model of a training goes: output_dir, else experiment_dir/model. Raises BadName without either."""
    if args.output_dir is not None:
        return Path(args.output_dir)
    if args.experiment_dir is None:
        raise BadName("A training needs a place for its model: give experiment_dir or output_dir.")
    return Path(args.experiment_dir) / "model"


def may_reuse(args: TrainingArguments, plan: TrainingPlan, base: BaseModel, output: Path) -> bool:
    """Whether the model in `output` stands for this training by the policy `args.use_cache`.

    "always": any model; True: one of this very run (weights, rows, settings), or by the reference's looser mark
    (source, target, pruning); "only_convergent": that, and it converged.
    """
    if args.use_cache in (None, False) or not (output / "config.json").is_file():
        return False
    if args.use_cache == "always":
        return True
    record = load_training_stats(output) or {}
    stored, info = record.get("cache_fingerprint") or {}, record.get("convergence_info") or {}
    if args.use_cache == "only_convergent" and not info.get("converged"):
        return False
    if "run" in stored:
        seeds = [plan.settings.seed + number for number in range(args.max_seeds)]
        return any(
            stored["run"] in replace(plan, settings=plan.settings.with_seed(seed)).fingerprints(base) for seed in seeds
        )
    wanted: dict[str, Any] = {"source": args.source, "target": args.target}
    pruned = bool(stored.get("pre_prune_config")), bool(stored.get("post_prune_config"))
    return all(stored.get(name) == value for name, value in wanted.items()) and pruned == (
        args.pre_prune_config is not None,
        args.post_prune_config is not None,
    )


def _selection(
    args: TrainingArguments, base: BaseModel, plan: TrainingPlan, data: UnifiedData
) -> Callable[[Path], float | None]:
    """A finished seed's correlation on all rows that choose between seeds."""
    size = args.seed_selection_eval_max_size
    size = args.encoder_eval_max_size if size is None else size
    rows = evaluation_rows(data, plan.pair, args, evaluation_split(data), size)

    def correlation(folder: Path) -> float | None:
        model = ModelWithGradiend.from_pretrained(folder, base.model)
        encoder = Encoder(base, model.mapped, model.gradiend, args.source)
        try:
            return float(evaluate_encoder(encoder, rows, plan.pair, seed=plan.settings.data_seed)["correlation"])
        except BadData:
            return None

    return correlation


def _demand_convergence(args: TrainingArguments, output: Path) -> None:
    record = load_training_stats(output)
    if not args.fail_on_non_convergence or record is None or record["convergence_info"]["converged"]:
        return
    best = record["best_score_checkpoint"]
    raise Failed(
        f"The training did not converge: correlation {best['correlation']} at step {best['global_step']}, asked for "
        f"{args.convergent_score_threshold}. The model is in {output.name}; train longer or lower the threshold."
    )
