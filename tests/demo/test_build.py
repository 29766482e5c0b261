"""The whole build on tiny sources: everything is made, measured, shipped without a path, and not made twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assets.demo.build import __main__ as build
from assets.demo.build.__main__ import STEPS, place_of
from assets.demo.build.page import README_MARKS, demo_page, with_readme_part
from assets.demo.build.steps import Place, run_steps
from tests.demo import tiny_sources


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, list[str]]:
    folder, said = tmp_path_factory.mktemp("demo-build"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "fetch", tiny_sources.fetch)
        place = place_of(folder / "work", folder / "out", recipe=tiny_sources.TINY)
        run_steps(STEPS, place, "report", say=said.append)
    return place, said


def test_it_makes_what_it_says(built: tuple[Place, list[str]]) -> None:
    place, said = built
    figures = json.loads((place.out / "figures.json").read_text())
    assert (place.docs / "demo.md").read_text() == demo_page(figures)
    assert len(list(place.docs.glob("demo-heatmap-*.svg"))) == 3
    for feature, count in (("pronoun", 20), ("number", 18)):
        training = figures["training"][feature]
        assert [found["seed"] for found in training["seeds"]] == [0, 1]
        best = max(training["seeds"], key=lambda found: found["score"])
        assert training["shipped"] == best["seed"]
        assert {split: sum(of.values()) for split, of in figures["rows"][feature].items()} == (
            {"test": 16, "validation": 8, "train": 16} if count == 20 else {"test": 12, "validation": 12, "train": 12}
        )
    assert any("seed 1" in sentence for sentence in said), "progress is told"


def test_nothing_of_the_machine_is_shipped(built: tuple[Place, list[str]]) -> None:
    place, _ = built
    for path in place.out.rglob("*"):
        if path.is_file():
            assert str(place.work).encode() not in path.read_bytes(), path.name
    config = json.loads((place.out / "gradiend" / "config.json").read_text())
    assert config["metadata"]["base_model"] == "../base"


def test_nothing_is_made_twice(built: tuple[Place, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = built
    said: list[str] = []
    monkeypatch.setattr(build, "fetch", tiny_sources.fetch)
    run_steps(STEPS, place_of(place.work, place.out, recipe=tiny_sources.TINY), "report", say=said.append)
    assert [sentence.split("]")[1].split(",")[0].strip() for sentence in said] == ["done before"] * len(STEPS)


def test_another_folder_is_filled_without_training_again(
    built: tuple[Place, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _ = built
    monkeypatch.setattr(build, "fetch", tiny_sources.fetch)
    other = place_of(place.work, tmp_path / "out", recipe=tiny_sources.TINY)
    run_steps(STEPS, other, "gradiend", say=lambda text: None)
    for name in ("base/model.safetensors", "gradiend/model.safetensors", "number/model.safetensors"):
        assert (other.out / name).read_bytes() == (place.out / name).read_bytes()


def test_the_readme_is_written_between_its_marks(built: tuple[Place, list[str]]) -> None:
    figures = json.loads((built[0].out / "figures.json").read_text())
    readme = f"before\n{README_MARKS[0]}\nold\n{README_MARKS[1]}\nafter\n"
    written = with_readme_part(readme, figures)
    assert written.startswith("before\n") and written.endswith("\nafter\n") and "old" not in written
    assert with_readme_part(written, figures) == written
    with pytest.raises(ValueError, match="substring"):
        with_readme_part("no marks", figures)
