"""The steps of the build: done once, again when what they rest on changes, and what a stop leaves behind."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from assets.demo.build import steps as steps_module
from assets.demo.build.__main__ import STEPS, main
from assets.demo.build.recipe import DEFAULT, Recipe
from assets.demo.build.steps import Place, Step, run_steps


class ThreeSteps:
    """Three steps, each writes a file; `breaks` names one that fails after it has written."""

    def __init__(self, work: Path) -> None:
        self.work, self.ran, self.breaks = work, [], ""

    def step(self, name: str, *settings: str, after: tuple[str, ...] = ()) -> Step:
        def run(place: Place, say: Any) -> dict[str, Any]:
            self.ran.append(name)
            (place.folder("made") / name).write_text("x")
            if self.breaks == name:
                raise RuntimeError("stopped")
            return {"saw": sorted(place.results), "earlier_seconds": 100.0}

        return Step(name, run, settings, ("recipe",), after, lambda place: [place.work / "made" / name])

    def build(self, recipe: Recipe = DEFAULT, last: str = "third", again: str | None = None) -> tuple[list[str], Place]:
        self.ran.clear()
        place = Place(self.work, self.work / "out", self.work / "docs", recipe, again=again)
        steps = (
            self.step("first", "seed"),
            self.step("second", "steps", after=("first",)),
            self.step("third", "kept", after=("second",)),
        )
        run_steps(steps, place, last, say=lambda text: None)
        return list(self.ran), place


@pytest.fixture
def three(tmp_path: Path) -> ThreeSteps:
    return ThreeSteps(tmp_path)


def test_a_step_is_done_once(three: ThreeSteps) -> None:
    assert three.build()[0] == ["first", "second", "third"]
    ran, place = three.build()
    assert ran == []
    assert place.results["third"]["saw"] == ["first", "second"]
    assert place.results["third"]["seconds"] >= 100, "what was spent before a stop counts"


def test_a_changed_setting_does_its_step_and_all_after_it_again(three: ThreeSteps) -> None:
    three.build()
    assert three.build(replace(DEFAULT, kept=0.5))[0] == ["third"]
    assert three.build(replace(DEFAULT, kept=0.5, steps=1))[0] == ["second", "third"]


def test_changed_source_does_its_step_again(three: ThreeSteps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "recipe.py").write_text("a = 1")
    monkeypatch.setattr(steps_module, "HERE", tmp_path)
    three.build()
    (tmp_path / "recipe.py").write_text("a = 2")
    assert three.build()[0] == ["first", "second", "third"]


def test_again_does_a_step_and_all_after_it(three: ThreeSteps) -> None:
    three.build()
    assert three.build(again="second")[0] == ["second", "third"]


def test_a_build_can_end_early_and_go_on(three: ThreeSteps) -> None:
    assert three.build(last="first")[0] == ["first"]
    assert three.build()[0] == ["second", "third"]


@pytest.mark.parametrize("again", [None, "second"])
def test_a_step_that_failed_is_done_again(three: ThreeSteps, again: str | None) -> None:
    if again:
        three.build()
    three.breaks = "second"
    with pytest.raises(RuntimeError, match="stopped"):
        three.build(again=again)
    three.breaks = ""
    assert three.build()[0] == ["second", "third"]


def test_a_stop_with_other_settings_leaves_no_old_result_behind(three: ThreeSteps) -> None:
    three.build()
    three.breaks = "second"
    with pytest.raises(RuntimeError, match="stopped"):
        three.build(replace(DEFAULT, steps=1))
    three.breaks = ""
    assert three.build()[0] == ["second", "third"]


def test_a_missing_file_or_a_damaged_marker_is_no_result(three: ThreeSteps) -> None:
    three.build()
    (three.work / "done" / "second.json").write_text('{"key": 1')
    assert three.build()[0] == ["second", "third"]
    (three.work / "made" / "third").unlink()
    assert three.build()[0] == ["third"]


def test_the_steps_know_every_number_of_the_recipe() -> None:
    read = [name for step in STEPS for name in step.settings]
    assert sorted(read) == sorted(field.name for field in fields(Recipe))


def test_again_behind_the_last_step_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--until", "base", "--again", "report"])
    assert "--again report" in capsys.readouterr().err
