"""Step report: measure the shipped demo and write `figures.json`, the demo's page and its heatmaps.

Opens the demo from where it is shipped, as a user would; what only a training knows comes from the steps before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import AutoModelForMaskedLM, AutoTokenizer

from assets.demo.build.base_step import BASE
from assets.demo.build.features import FEATURES, PRONOUN, Feature
from assets.demo.build.gradiend_step import kept_share, probability
from assets.demo.build.heatmap_svg import heatmap_svg
from assets.demo.build.neutral import FILES
from assets.demo.build.page import demo_page, with_readme_part
from assets.demo.build.quality import occupations, right_pronoun, top_tokens
from assets.demo.build.steps import Place, Say
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.trainer import TextPredictionTrainer

FIGURES, PAGE = "figures.json", "demo.md"
THRESHOLD = 0.99
SIGNS = (-1.0, 1.0)
DENSE_FACTORS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
DENSE_RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0)


def build_report(place: Place, say: Say) -> dict[str, Any]:
    """Write everything; gives the figures."""
    figures: dict[str, Any] = {
        "sources": place.results["fetch"]["sources"],
        "base": place.results["base"],
        "rows": place.results["rows"]["rows"],
        "identity_rows": place.results["rows"]["identity"],
        "neutral": place.results["rows"]["neutral"],
        "training": place.results["gradiend"],
        "seconds": {name: result["seconds"] for name, result in place.results.items()},
        "files": shipped_files(place.out),
    }
    figures["goal"] = goal_figures(place, figures["training"][PRONOUN.name])
    say("the goal's cells are measured on the test rows")
    grids = {feature.name: default_grids(place, feature, say) for feature in FEATURES}
    figures["sweeps"] = {feature.name: sweep_figures(feature, grids[feature.name]) for feature in FEATURES}
    figures["said"] = said_figures(place, figures)
    say("what the models say is measured")
    figures["dense"] = dense_figures(place)
    docs = place.docs
    docs.mkdir(parents=True, exist_ok=True)
    for name, svg in heatmaps(figures["dense"]).items():
        (docs / name).write_text(svg, encoding="utf-8")
    text = json.dumps(rounded(figures), indent=1, ensure_ascii=False)
    (place.out / FIGURES).write_text(text + "\n", encoding="utf-8")
    (docs / PAGE).write_text(demo_page(rounded(figures)), encoding="utf-8")
    if place.readme is not None:
        content = place.readme.read_text(encoding="utf-8")
        place.readme.write_text(with_readme_part(content, rounded(figures)), encoding="utf-8")
    return {"written": [FIGURES, PAGE]}


def report_paths(place: Place) -> list[Path]:
    """The files of this step."""
    return [place.out / FIGURES, place.docs / PAGE]


def shipped(place: Place, feature: Feature, neutral: str) -> TextPredictionTrainer:
    """The feature as it is shipped, with its rows and one of its neutral sets."""
    folder = place.out / feature.folder
    beside = folder if (folder / "eval.csv").is_file() else place.out
    return TextPredictionTrainer(
        model=str(folder),
        data=str(beside / "eval.csv"),
        target_classes=list(feature.classes),
        eval_neutral_data=str(beside / FILES[neutral]),
    )


def default_grids(place: Place, feature: Feature, say: Say) -> dict[str, Any]:
    """{neutral set: result of the default sweep on the test rows}."""
    found = {}
    for name in feature.sets:
        found[name] = shipped(place, feature, name).evaluate_decoder(use_cache=False)
        say(f"{feature.name}, neutral set {name}: swept")
    return found


def goal_figures(place: Place, training: Mapping[str, Any]) -> dict[str, Any]:
    """{class: the shipped seed's cell, chosen on validation rows, with what the test rows say of it}."""
    seed = next(found for found in training["seeds"] if found["seed"] == training["shipped"])
    cells = {name: cell for name, cell in seed["reached"].items() if cell["feature_factor"] is not None}
    rates = sorted({cell["learning_rate"] for cell in cells.values()})
    asked: dict[str, Any] = {"lrs": rates, "feature_factors": SIGNS, "use_cache": False}
    grids = [
        shipped(place, PRONOUN, name).evaluate_decoder(**asked)["grid"] for name in (PRONOUN.sets if cells else ())
    ]
    found = {}
    for name, cell in cells.items():
        other = next(other for other in PRONOUN.classes if other != name)
        where = (cell["feature_factor"], cell["learning_rate"])
        found[name] = {
            "feature_factor": where[0],
            "learning_rate": where[1],
            "probability": probability(grids[0][where], other, name),
            "kept": [kept_share(grid, where) for grid in grids],
        }
    return found


def sweep_figures(feature: Feature, grids: Mapping[str, Any]) -> dict[str, Any]:
    """Per neutral set: the base, the chosen cells and every cell; and what all sets together allow."""
    sets = {
        name: {
            "base": base_figures(grid["grid"]["base"]),
            "chosen": {class_name: chosen_figures(grid, class_name) for class_name in feature.classes},
            "cells": [cell_figures(feature, grid["grid"], cell) for cell in grid["grid"] if cell != "base"],
        }
        for name, grid in grids.items()
    }
    return {"threshold": THRESHOLD, "sets": sets}


def base_figures(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {"lms": float(cell["lms"]["lms"]), "probabilities": cell["probs_by_dataset"]}


def chosen_figures(grid: Mapping[str, Any], name: str) -> dict[str, Any]:
    chosen = grid[name]
    return {
        "feature_factor": chosen["feature_factor"],
        "learning_rate": chosen["learning_rate"],
        "probability": chosen["value"],
        "kept": chosen["lms"] / chosen["base_lms"],
        "fallback": chosen["fallback"],
    }


def cell_figures(feature: Feature, table: Mapping[Any, Any], cell: tuple[float, float]) -> dict[str, Any]:
    first, second = feature.classes
    return {
        "feature_factor": cell[0],
        "learning_rate": cell[1],
        "kept": kept_share(table, cell),
        first: probability(table[cell], second, first),
        second: probability(table[cell], first, second),
    }


def said_figures(place: Place, figures: Mapping[str, Any]) -> dict[str, Any]:
    """What the base says, and what it says after the rewrite with each class's goal cell (without one: the cell that
    the first neutral set chose)."""
    tokenizer = AutoTokenizer.from_pretrained(place.out / BASE)
    base = AutoModelForMaskedLM.from_pretrained(place.out / BASE, dtype="float32")
    trained = ModelWithGradiend.from_pretrained(str(place.out / PRONOUN.folder))
    chosen = figures["sweeps"][PRONOUN.name]["sets"][PRONOUN.sets[0]]["chosen"]
    models: dict[str, Any] = {"base": base}
    cells: dict[str, Any] = {}
    for name in PRONOUN.classes:
        cell = figures["goal"].get(name) or chosen[name]
        cells[name] = {key: cell[key] for key in ("feature_factor", "learning_rate")}
        models[name] = trained.rewrite_base_model(**cells[name])
    rows = pd.read_csv(place.out / "eval.csv")
    held_out = rows[rows["split"] != "train"].reset_index(drop=True)
    return {
        "cells": cells,
        "right": right_pronoun(base, tokenizer, held_out),
        "occupations": occupations(models, tokenizer),
        "top": top_tokens(models, tokenizer),
    }


def dense_figures(place: Place) -> dict[str, Any]:
    """The first feature over many feature factors, on its first neutral set."""
    found = shipped(place, PRONOUN, PRONOUN.sets[0]).evaluate_decoder(
        lrs=DENSE_RATES, feature_factors=DENSE_FACTORS, use_cache=False
    )["grid"]
    first, second = PRONOUN.classes

    def table(value: Any) -> list[list[float]]:
        return [[value(found[factor, rate], (factor, rate)) for rate in DENSE_RATES] for factor in DENSE_FACTORS]

    return {
        "feature_factors": list(DENSE_FACTORS),
        "learning_rates": list(DENSE_RATES),
        first: table(lambda cell, _: probability(cell, second, first)),
        second: table(lambda cell, _: probability(cell, first, second)),
        "kept": table(lambda _, place_of: kept_share(found, place_of)),
    }


def heatmaps(dense: Mapping[str, Any]) -> dict[str, str]:
    """{file name: SVG} of the three dense tables."""
    titles = {
        "F": ("demo-heatmap-she.svg", "P(she) on rows with he"),
        "M": ("demo-heatmap-he.svg", "P(he) on rows with she"),
        "kept": ("demo-heatmap-lms.svg", "LMS / base"),
    }

    def passes(row: int, column: int) -> bool:
        return bool(dense["kept"][row][column] >= THRESHOLD)

    axes = (dense["feature_factors"], dense["learning_rates"])
    return {file: heatmap_svg(title, dense[key], *axes, passes) for key, (file, title) in titles.items()}


def shipped_files(folder: Path) -> dict[str, dict[str, Any]]:
    """{path below the folder: {"bytes", "sha256"}} of all that the build ships, but for the figures and itself."""
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (FIGURES, "README.md") and not path.is_relative_to(folder / "build")
    )
    found = {}
    for path in files:
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        found[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return found


def rounded(value: Any) -> Any:
    """Floats with six significant digits, so that a file can be read and compared."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {str(key): rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
