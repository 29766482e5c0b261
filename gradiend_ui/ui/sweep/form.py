"""What the form of the step Sweep says, as plain values: the question for the winner, the grid, the spec of a sweep.

Pure functions of the form's values and a card; knows no widget and no session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.data import ChosenData
from gradiend_ui.engine.answers.run import RunSpec, SelectOptions
from gradiend_ui.engine.errors import BadGrid, listed, shown
from gradiend_ui.engine.selection.policies import DEFAULT_POLICY
from gradiend_ui.engine.sweep.axes import quick_axes, read_axis
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.values import BFLOAT16, BOTH, DEFAULT_PRECISION, DEFAULT_RATIO, GOALS, STRENGTHEN, Grid

DEFAULT, DENSE, QUICK, FINE, TYPED = "default", "dense", "quick", "fine", "typed"
PRESETS = (DEFAULT, DENSE, QUICK, FINE, TYPED)
LISTED = (FINE, TYPED)
"""Presets whose grid is in the two lists; the others only write theirs there."""
LOWEST_RATIO = 0.9
FACTORS, RATES = "feature factors", "learning rates"
LOOK_BFLOAT16 = "look_bfloat16"
ARITHMETICS: Mapping[str, Mapping[str, str]] = {
    DEFAULT_PRECISION: {},
    LOOK_BFLOAT16: {"first_look": BFLOAT16},
    BFLOAT16: {"precision": BFLOAT16},
}
"""Choices of the numbers that a sweep computes with, and what each says in a spec."""
NO_MODEL = "There is no model to sweep yet. Load the demo or a folder first."
NO_WINNER = "There is no winner to look around yet. Finish a sweep with another grid first, then choose this one."


@dataclass(frozen=True)
class Asked:
    """The part of the form that asks for a winner. Of target_class and class_list the one in use is not None."""

    target_class: str | None
    class_list: str | None
    goal: str
    winner_goal: str
    policy: str
    ratio: float
    any_feature_factor: bool

    @property
    def asked_class(self) -> str | None:
        return self.class_list or self.target_class

    @property
    def asked_goal(self) -> str:
        """What the winner is for; with "both" a control of its own."""
        return self.winner_goal if self.goal == BOTH else self.goal


@dataclass(frozen=True)
class Form(Asked):
    """The form's values under the widgets' names: the question, then what is swept."""

    preset: str
    typed_factors: str
    typed_rates: str
    part: str
    token_boundary: str
    arithmetic: str
    winner_only: bool
    again: bool


ASKED_FIELDS = tuple(item.name for item in fields(Asked))
FORM_FIELDS = tuple(item.name for item in fields(Form))


def read_options(asked: Asked) -> SelectOptions:
    """What moves the winner (`Session.select`), without any new computation."""
    return {
        "target_class": asked.asked_class,
        "goal": asked.asked_goal,
        "policy": asked.policy,
        "ratio": float(asked.ratio),
        "any_feature_factor": bool(asked.any_feature_factor),
    }


def read_grid(form: Form, card: Card) -> Grid:
    """The grid that the form describes. Raises BadGrid and TooLarge in a sentence."""
    if form.preset == FINE and not (form.typed_factors.strip() or form.typed_rates.strip()):
        raise BadGrid(NO_WINNER).known_as("sweep.no_winner")
    if form.preset in LISTED:
        return Grid(read_axis(form.typed_factors, FACTORS).values, read_axis(form.typed_rates, RATES).values)
    if form.preset == QUICK:
        return Grid(*quick_axes(card["strengthening_feature_factor"], form.goal, _class_of(card, form.asked_class)))
    preset = card["presets"][form.preset]
    return Grid(tuple(preset["feature_factors"]), tuple(preset["learning_rates"]))


def _class_of(card: Card, name: str | None) -> str:
    if name is None or name not in card["classes"]:
        raise BadGrid(f"There is no class {shown(name)} for a quick grid; the classes are {listed(card['classes'])}.")
    return name


def asked_sweep(form: Form, data: ChosenData, card: Card) -> AskedSweep:
    """What `Session.start_sweep` is asked for. Raises BadGrid, BadData, TooLarge."""
    grid = read_grid(form, card)
    spec: dict[str, object] = {
        "goal": form.goal,
        "feature_factors": list(grid.feature_factors),
        "learning_rates": list(grid.learning_rates),
        "part": form.part,
        "again": bool(form.again),
        **ARITHMETICS[form.arithmetic],
        **data.get("spec", {}),
    }
    if form.winner_only:
        spec |= {"winner_only": True, "winner_ratio": float(form.ratio)}
    if card["two_boundaries"]:
        spec["token_boundary"] = form.token_boundary
    if form.preset == QUICK:
        spec["target_classes"] = [form.asked_class]
    return AskedSweep.of(spec)


def preset_of(spec: RunSpec, card: Card) -> str:
    """Which preset a spec's grid is; `typed` where it is none."""
    wanted = (sorted(spec["feature_factors"]), sorted(spec["learning_rates"]))
    for name in (DEFAULT, DENSE):
        preset = card["presets"][name]
        if (sorted(preset["feature_factors"]), sorted(preset["learning_rates"])) == wanted:
            return name
    return TYPED


def arithmetic_of(spec: Mapping[str, object]) -> str:
    """Which of `ARITHMETICS` a spec asks for; a spec of an earlier version asks for none."""
    if spec.get("precision", DEFAULT_PRECISION) != DEFAULT_PRECISION:
        return BFLOAT16
    return LOOK_BFLOAT16 if spec.get("first_look") == BFLOAT16 else DEFAULT_PRECISION


def first_class(card: Card, spec: RunSpec | None) -> str:
    targets = spec.get("target_classes") if spec else None
    return str(targets[-1] if targets else card["classes"][-1])


def first_goals(spec: RunSpec | None) -> tuple[str, str]:
    """(goal of the sweep, goal of the winner) of a page that has just opened."""
    goal = spec.get("goal") if spec else None
    known = goal if goal in GOALS else STRENGTHEN
    return known, STRENGTHEN if known == BOTH else known


def first_ratio(spec: RunSpec | None) -> float:
    """The threshold of a page that has just opened: the one whose winner a sweep looked for, else the usual one."""
    if not spec or not spec.get("winner_only"):
        return DEFAULT_RATIO
    return min(max(float(spec["winner_ratio"]), LOWEST_RATIO), 1.0)


def first_options(card: Card, spec: RunSpec | None) -> SelectOptions:
    """The options of a page that has just opened."""
    return {
        "target_class": first_class(card, spec),
        "goal": first_goals(spec)[1],
        "policy": DEFAULT_POLICY,
        "ratio": first_ratio(spec),
        "any_feature_factor": False,
    }
