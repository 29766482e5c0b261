"""Run folders of the reference: model/, seeds with their report, and what stands for the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.checkpoint.reading import find_checkpoint_folder
from gradiend_ui.engine.checkpoint.run_folder import SeedRun, read_run_folder, runs_below
from gradiend_ui.engine.errors import BadCheckpoint
from gradiend_ui.engine.model import ModelWithGradiend


def checkpoint(folder: Path, correlation: float | None = None) -> Path:
    """What the eye needs of a checkpoint: names, and a correlation where training told one."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    if correlation is not None:
        (folder / "training.json").write_text(json.dumps({"best_score_checkpoint": {"correlation": correlation}}))
    return folder


def entry(seed: int, correlation: float | None, converged: bool, **more: Any) -> dict[str, Any]:
    return {
        "seed": seed,
        "output_dir": f"/home/someone/runs/pronouns/seeds/seed_{seed}",
        "eval_correlation": correlation,
        "selection_score": correlation,
        "convergence_metric": "correlation",
        "converged": converged,
        **more,
    }


def report(folder: Path, runs: object, **more: Any) -> None:
    (folder / "seeds").mkdir(parents=True, exist_ok=True)
    (folder / "seeds" / "seed_report.json").write_text(json.dumps({"runs": runs, **more}))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three seeds: 0 was not kept, 1 is the report's best, 2 correlates more but was not chosen."""
    folder = tmp_path / "pronouns"
    report(folder, [entry(2, 0.95, True), entry(0, 0.2, False), entry(1, 0.9, True)], best_seed=1)
    for seed in (1, 2):
        checkpoint(folder / "seeds" / f"seed_{seed}")
    return folder


def test_everything_a_run_holds(run: Path) -> None:
    model = checkpoint(run / "model")
    for name in ("encoded_values.csv", "encoded_values_split_test.csv", "decoder_grid_cache.json", "other.csv"):
        (run / name).write_text("")
    found = read_run_folder(run)
    assert found.checkpoint == found.model == model
    assert found.seeds == (
        SeedRun(0, None, 0.2, False, 0.2),
        SeedRun(1, run / "seeds" / "seed_1", 0.9, True, 0.9, best=True),
        SeedRun(2, run / "seeds" / "seed_2", 0.95, True, 0.95),
    )
    assert found.best_seed == found.seeds[1]
    assert [path.name for path in found.encoded_values] == ["encoded_values.csv", "encoded_values_split_test.csv"]
    assert found.decoder_grid_cache == run / "decoder_grid_cache.json" and found.warnings == ()


def test_without_model_the_best_seed_stands_for_the_run(run: Path) -> None:
    assert find_checkpoint_folder(run) == run / "seeds" / "seed_1"
    checkpoint(run / "model")
    assert find_checkpoint_folder(run) == run / "model"
    assert find_checkpoint_folder(run / "seeds" / "seed_2") == run / "seeds" / "seed_2"


@pytest.mark.parametrize(
    ("runs", "best"),
    [
        ([entry(0, 0.99, False), entry(1, 0.5, True), entry(2, 0.6, True)], 2),
        ([entry(0, 0.9, False), entry(1, 0.95, False)], 1),
        ([entry(0, None, False), entry(1, None, False, convergence_metric_value=0.3)], 1),
        ([entry(0, None, False), entry(1, None, False)], None),
        ([entry(0, float("nan"), False), entry(1, -0.4, False)], 1),
        (["odd", {"seed": "0"}, {"seed": True}, {"seed": 3}], None),
        ({"seed": 0}, None),
    ],
)
def test_the_best_seed_where_the_report_names_none(tmp_path: Path, runs: object, best: int | None) -> None:
    report(tmp_path, runs)
    found = read_run_folder(tmp_path).best_seed
    assert (None if found is None else found.seed) == best


def test_seeds_are_found_without_a_report(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    checkpoint(seeds / "seed_7", 0.8)
    checkpoint(seeds / "seed_x")
    (seeds / "seed_3").mkdir()
    found = read_run_folder(tmp_path)
    assert found.seeds == (SeedRun(7, seeds / "seed_7", 0.8, None, None, best=True),)
    checkpoint(seeds / "seed_9", 0.7)
    assert find_checkpoint_folder(tmp_path) == seeds / "seed_7"


def test_a_report_leads_nowhere_else(tmp_path: Path) -> None:
    outside = checkpoint(tmp_path / "outside")
    run = checkpoint(tmp_path / "run")
    checkpoint(run / "seeds")
    places = [str(outside), "..", ".", "seed_0/..", ""]
    report(run, [entry(seed, 0.9, True, output_dir=place) for seed, place in enumerate(places)], best_seed=0)
    assert [seed.folder for seed in read_run_folder(run).seeds] == [None] * len(places)
    for name in ("config.json", "model.safetensors"):
        (run / name).unlink()
    with pytest.raises(BadCheckpoint, match="best seed was not kept"):
        find_checkpoint_folder(run)


def test_a_damaged_report_is_a_warning(tmp_path: Path) -> None:
    checkpoint(tmp_path / "model")
    for content in ("{", "[1]", "[" * 100_000):
        (tmp_path / "seeds").mkdir(exist_ok=True)
        (tmp_path / "seeds" / "seed_report.json").write_text(content)
        found = read_run_folder(tmp_path)
        assert found.checkpoint == tmp_path / "model"
        assert len(found.warnings) == 1 and "seed_report.json was not read" in found.warnings[0]


def test_sentences_where_nothing_single_is_found(tmp_path: Path, run: Path) -> None:
    report(run, [entry(seed, None, False) for seed in (1, 2)])
    with pytest.raises(BadCheckpoint, match="give one of seeds/seed_1, seeds/seed_2"):
        find_checkpoint_folder(run)
    checkpoint(tmp_path / "second" / "model")
    report(run, [entry(1, 0.9, True)])
    assert [path.name for path in runs_below(tmp_path)] == ["pronouns", "second"]
    with pytest.raises(BadCheckpoint, match="2 run.*pronouns, second"):
        find_checkpoint_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadCheckpoint, match="no GRADIEND checkpoint"):
        find_checkpoint_folder(tmp_path / "empty")
    with pytest.raises(BadCheckpoint, match="no folder"):
        find_checkpoint_folder(tmp_path / "absent")


def test_a_model_is_loaded_from_a_run_folder(checkpoint_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(checkpoint_folder, run / "seeds" / "seed_4")
    report(run, [entry(4, 0.9, True)], best_seed=4)
    model = ModelWithGradiend.from_pretrained(run)
    assert model.name == "seed_4"
    assert model.fingerprint == ModelWithGradiend.from_pretrained(checkpoint_folder).fingerprint
