"""Step gradiend: several seeds of each feature's GRADIEND, trained by our own trainer; the best one is shipped.

Best: for every class the largest probability, on validation rows, of a cell that keeps 98 % of the LMS on every neutral
set of the feature; the seed whose smaller of these is the largest wins, so that both directions can be shown. The test
rows decide nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.demo.build.base_step import BASE, copy_base
from assets.demo.build.features import FEATURES, Feature, manifest
from assets.demo.build.neutral import FILES
from assets.demo.build.recipe import Recipe
from assets.demo.build.row_step import neutral_file, read_table, training_table
from assets.demo.build.steps import Place, Say
from gradiend_ui.engine.training.loop import TrainingStep
from gradiend_ui.trainer import PrePruneConfig, TextPredictionTrainer, TrainingArguments

GRADIENDS = "gradiends"
SAY_EVERY = 20
KEPT_SHARE = 0.98
RATES = (0.1, 0.125, 0.15, 0.175, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
Cell = tuple[float, float]
CHECKPOINT_FILES = ("config.json", "gradiend_context.json", "training.json", "*.safetensors")


def build_gradiends(place: Place, say: Say) -> dict[str, Any]:
    """Train all seeds, choose, and ship when all is there; gives {feature: {"seeds": [...], "shipped": seed}}."""
    found = {feature.name: train_seeds(place, feature, say) for feature in FEATURES}
    copy_base(place)
    for feature in FEATURES:
        ship(place, feature, seed_folder(place, feature, found[feature.name]["shipped"]))
    return found


def train_seeds(place: Place, feature: Feature, say: Say) -> dict[str, Any]:
    """Every seed's figures, and the number of the best one."""
    folder = place.folder(GRADIENDS) / feature.name
    shutil.rmtree(folder if place.again == "gradiend" else folder / "model", ignore_errors=True)
    trainer = TextPredictionTrainer(
        model=str(place.work / BASE),
        data=training_table(place, feature),
        target_classes=list(feature.classes),
        args=training_arguments(place.recipe, folder, feature),
    )

    def tell(step: TrainingStep) -> None:
        if step.step % SAY_EVERY == 0:
            say(f"{feature.name}, seed {step.seed}, step {step.step} of {place.recipe.gradiend_steps}")

    trainer.train(callbacks=[tell])
    seeds = []
    for number in range(place.recipe.seeds):
        found = seed_figures(place, feature, seed_folder(place, feature, number), number)
        say(f"{feature.name}, seed {number}: {describe(found)}")
        seeds.append(found)
    best = max(seeds, key=lambda found: found["score"])
    return {"seeds": seeds, "shipped": best["seed"]}


def seed_folder(place: Place, feature: Feature, number: int) -> Path:
    return place.work / GRADIENDS / feature.name / "seeds" / f"seed_{number}"


def shipped_paths(place: Place) -> list[Path]:
    """What this step ships, the one file of each folder that matters most."""
    return [place.out / folder / "model.safetensors" for folder in (BASE, *(feature.folder for feature in FEATURES))]


def training_arguments(recipe: Recipe, folder: Path, feature: Feature) -> TrainingArguments:
    """Every seed is trained and kept; finished ones are taken over when the step is done again."""
    return TrainingArguments(
        experiment_dir=folder,
        use_cache=True,
        train_batch_size=recipe.gradiend_batch,
        max_steps=recipe.gradiend_steps,
        eval_steps=max(1, recipe.gradiend_steps // 2),
        learning_rate=recipe.gradiend_rate,
        pre_prune_config=PrePruneConfig(n_samples=64, topk=recipe.kept, source="diff"),
        add_identity_for_other_classes=feature.with_identity,
        max_seeds=recipe.seeds,
        min_convergent_seeds=None,
        saved_seed_runs="all_tried",
    )


def open_seed(place: Place, feature: Feature, folder: Path, neutral: str) -> TextPredictionTrainer:
    """A trained GRADIEND with the feature's rows (no identity rows) and one of its neutral sets."""
    return TextPredictionTrainer(
        model=str(folder),
        base_model=str(place.work / BASE),
        data=read_table(place, feature.name),
        target_classes=list(feature.classes),
        eval_neutral_data=str(neutral_file(place, neutral)),
    )


def seed_figures(place: Place, feature: Feature, folder: Path, number: int) -> dict[str, Any]:
    """Encoder correlation on the test rows, and what the decoder reaches on the validation rows."""
    grids = [
        open_seed(place, feature, folder, name).evaluate_decoder(
            lrs=RATES, feature_factors=(-1.0, 1.0), split="validation", use_cache=False
        )
        for name in feature.sets
    ]
    encoder = open_seed(place, feature, folder, feature.sets[0]).evaluate_encoder(split="test")
    reached = reached_by_class(grids, feature.classes)
    return {
        "seed": number,
        "correlation": float(encoder["correlation"]),
        "mean_by_class": {str(name): float(mean) for name, mean in encoder["mean_by_feature_class"].items()},
        "reached": reached,
        "score": min(cell["probability"] for cell in reached.values()),
    }


def reached_by_class(
    grids: Sequence[Mapping[str, Any]], classes: Sequence[str], share: float = KEPT_SHARE
) -> dict[str, dict[str, Any]]:
    """{class: its most probable cell on the other class's rows among those that keep `share` of the LMS in every grid}.

    grids: results of `evaluate_decoder`, the same rows with different neutral sets. A class that no cell reaches has
    the base's probability and no cell.
    """
    tables = [grid["grid"] for grid in grids]
    found: dict[str, dict[str, Any]] = {}
    for name, other in zip(classes, reversed(classes), strict=True):
        best: dict[str, Any] = {
            "probability": probability(tables[0]["base"], other, name), "feature_factor": None, "learning_rate": None,
            "kept": [1.0] * len(tables),
        }  # fmt: skip
        for cell in (cell for cell in tables[0] if cell != "base"):
            kept = [kept_share(table, cell) for table in tables]
            value = probability(tables[0][cell], other, name)
            if min(kept) >= share and value > best["probability"]:
                best = {"probability": value, "feature_factor": cell[0], "learning_rate": cell[1], "kept": kept}
        found[name] = best
    return found


def probability(cell: Mapping[str, Any], dataset: str, name: str) -> float:
    """P(name) on the rows of `dataset`."""
    return float(cell["probs_by_dataset"][dataset][name])


def kept_share(table: Mapping[Any, Any], cell: Cell) -> float:
    """LMS of a cell / LMS of the base."""
    return float(table[cell]["lms"]["lms"]) / float(table["base"]["lms"]["lms"])


def describe(found: Mapping[str, Any]) -> str:
    reached = ", ".join(
        f"{name} {cell['probability']:.3f} at ({cell['feature_factor']}, {cell['learning_rate']})"
        for name, cell in found["reached"].items()
    )
    return f"correlation {found['correlation']:.4f}; {reached}"


def ship(place: Place, feature: Feature, chosen: Path) -> None:
    """The chosen checkpoint, its rows and neutral sets into the shipped demo, without a path of this machine."""
    target = place.out / feature.folder
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for pattern in CHECKPOINT_FILES:
        for file in chosen.glob(pattern):
            shutil.copy(file, target / file.name)
    for name in ("config.json", "training.json"):
        content = json.loads((target / name).read_text(encoding="utf-8"))
        (target / name).write_text(json.dumps(without_paths(content, place), indent=1), encoding="utf-8")
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    config["metadata"]["base_model"] = f"../{BASE}"
    (target / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    beside = target if feature.folder != "gradiend" else place.out
    read_table(place, feature.name).to_csv(beside / "eval.csv", index=False)
    for name in feature.sets:
        shutil.copy(neutral_file(place, name), beside / FILES[name])
    told = json.dumps(manifest(feature, FILES), indent=2, ensure_ascii=False)
    (beside / "demo.json").write_text(told + "\n", encoding="utf-8")


def without_paths(content: Any, place: Place) -> Any:
    """The same value with every path below the build's folder shortened to what lies below it."""
    if isinstance(content, dict):
        return {key: without_paths(value, place) for key, value in content.items()}
    if isinstance(content, list):
        return [without_paths(value, place) for value in content]
    if isinstance(content, str) and content.startswith(str(place.work)):
        return content[len(str(place.work)) :].lstrip("/") or "."
    return content
