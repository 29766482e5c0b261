"""The reference's process and the GRADIEND checkpoints it trains, once per session (about 15 seconds)."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.parity.recipes import RECIPES
from tests.parity.reference import Reference


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """The reference, running. Skips with a sentence where it is not installed."""
    if importlib.util.find_spec("gradiend") is None:
        pytest.skip("The parity tests need the reference: pip install -r tests/requirements.txt")
    with Reference(tmp_path_factory.mktemp("reference") / "reference.log") as running:
        yield running


def write_directions(checkpoint: Path) -> None:
    """Say in gradiend_context.json which class the encoder was normalised to put at +1."""
    context = json.loads((checkpoint / "gradiend_context.json").read_text())
    context["feature_class_encoding_direction"] = {"M": 1, "F": -1}
    (checkpoint / "gradiend_context.json").write_text(json.dumps(context))


def assert_directions_to_be_found(checkpoint: Path) -> None:
    """No directions in the context, but class means of opposite signs at the best step."""
    assert "feature_class_encoding_direction" not in json.loads((checkpoint / "gradiend_context.json").read_text())
    training = json.loads((checkpoint / "training.json").read_text())
    best = str(training["best_score_checkpoint"]["global_step"])
    means = training["training_stats"]["mean_by_feature_class"][best]
    assert means["M"] > 0.1 and means["F"] < -0.1, f"{checkpoint}: trained too little, class means {means}"


@pytest.fixture(scope="session")
def checkpoints(
    reference: Reference, model_folder: Path, tiny_bert: Path, tiny_gpt2: Path, rows: pd.DataFrame
) -> dict[str, Path]:
    """GRADIENDs trained by the reference, by name (see parity.recipes); "-bin": the same one as pytorch_model.bin."""
    bases = {"bert": tiny_bert, "gpt2": tiny_gpt2}
    folders: dict[str, Path] = {}
    for recipe in RECIPES:
        bin_copy = model_folder / f"{recipe.name}-bin"
        answer = reference.ask(
            "train",
            base=str(bases[recipe.base]),
            out=str(model_folder / recipe.name),
            rows=rows.to_dict("records"),
            topk=recipe.topk,
            bin_copy=str(bin_copy) if recipe.with_bin else None,
            **recipe.arguments,
        )
        folders[recipe.name] = Path(answer["checkpoint"])
        mode = json.loads((folders[recipe.name] / "config.json").read_text())["mapping"]["mode"]
        assert mode == recipe.mode, f"{recipe.name}: the mapping came out as {mode!r}, not {recipe.mode!r}"
        if recipe.with_bin:
            folders[f"{recipe.name}-bin"] = bin_copy
            assert (bin_copy / "pytorch_model.bin").is_file() and not list(bin_copy.glob("*.safetensors"))
        if not recipe.directed:
            assert_directions_to_be_found(folders[recipe.name])
            continue
        for name, folder in folders.items():
            if name.startswith(recipe.name):
                write_directions(folder)
    return folders


@pytest.fixture(scope="session")
def demo_checkpoint(demo: Path, model_folder: Path) -> Path:
    """The demo's GRADIEND with an absolute base path: the reference resolves a relative one against its own folder."""
    copy = model_folder / "demo-gradiend"
    shutil.copytree(demo / "gradiend", copy)
    config = json.loads((copy / "config.json").read_text())
    config["metadata"]["base_model"] = str((demo / "base").resolve())
    (copy / "config.json").write_text(json.dumps(config))
    return copy
