"""Step 2, Sweep: what to change, which grid, how to pick the winner, and the buttons that start, pause and stop.

Values in, values out; the session computes, the board shows. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import gradio as gr

from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.figures.numbers import clock
from gradiend_ui.ui.tree import Node, Tree, node
from gradiend_ui.ui.words import Words

if TYPE_CHECKING:
    from gradiend_ui.ui.session import Session

DEFAULT, DENSE, TYPED = "default", "dense", "typed"
PRESETS = [("default", DEFAULT), ("dense 9 × 16", DENSE), ("typed list", TYPED)]
GOALS = [("strengthen", "strengthen"), ("weaken", "weaken")]
POLICIES = [("best above threshold", "lms_threshold"), ("best value × LMS", "lms_times_metric")]
RATIO, LOWEST_RATIO = 0.99, 0.9
TYPED_FACTORS = "-1, 1"
TYPED_RATES = "0.01, 0.05, 0.1, 0.2, 0.5, 1"
GOAL_NAMES = ("strengthen", "weaken")
START, START_AGAIN = "Start sweep", "Start a new sweep"
ANY_FACTOR = "winner from any feature factor"
AGAIN = "compute again, ignore stored numbers"
BUSY_STATES = ("queued", "running")
RESUMABLE = ("paused", "stopped", "interrupted")


EXPLAINED: dict[str, str] = {}
"""Widget id: the text that explains it."""


@dataclass(frozen=True)
class FormWidgets:
    """What `read_options` and `build_spec` need, in the order in which callbacks receive it."""

    target_class: gr.Radio
    goal: gr.Radio
    policy: gr.Dropdown
    ratio: gr.Slider
    any_feature_factor: gr.Checkbox
    preset: gr.Radio
    typed_factors: gr.Textbox
    typed_rates: gr.Textbox
    again: gr.Checkbox


@dataclass(frozen=True)
class RunWidgets:
    start: gr.Button
    pause: gr.Button
    resume: gr.Button
    stop: gr.Button
    estimate: Tree


@dataclass(frozen=True)
class Form:
    """The form's values under the widgets' names."""

    target_class: str | None
    goal: str
    policy: str
    ratio: float
    any_feature_factor: bool
    preset: str
    typed_factors: str
    typed_rates: str
    again: bool


FORM_FIELDS = tuple(item.name for item in fields(Form))


def build(words: Words) -> tuple[FormWidgets, RunWidgets]:
    with gr.Column(elem_id="step-sweep", elem_classes="panel"):
        Tree(node("h2", "Sweep"), elem_classes="panel-title")
        target_class = gr.Radio([], label="Class", elem_id="target-class", elem_classes="segmented")
        goal = gr.Radio(GOALS, value=GOALS[0][1], label="Goal", elem_id="goal", elem_classes="segmented")
        preset = gr.Radio(PRESETS, value=DEFAULT, label="Grid", elem_id="preset", elem_classes="segmented")
        typed_factors = gr.Textbox(
            TYPED_FACTORS, label="Direction and size (feature factors)", visible=False, elem_id="typed-factors"
        )
        typed_rates = gr.Textbox(TYPED_RATES, label="Strength (learning rates)", visible=False, elem_id="typed-rates")
        ratio = gr.Slider(LOWEST_RATIO, 1.0, RATIO, step=0.005, label="Keep this share of the LMS", elem_id="ratio")
        policy = gr.Dropdown(POLICIES, value=POLICIES[0][1], label="Winner", elem_id="policy")
        any_factor = gr.Checkbox(False, label=ANY_FACTOR, elem_id="any-factor", container=False)
        again = gr.Checkbox(False, label=AGAIN, elem_id="again", container=False)
        run = _build_buttons()
    form = FormWidgets(target_class, goal, policy, ratio, any_factor, preset, typed_factors, typed_rates, again)
    return form, run


def _build_buttons() -> RunWidgets:
    estimate = Tree(node("p", "–", cls="estimate quiet"), elem_id="estimate")
    start = gr.Button(START, variant="primary", interactive=False, elem_id="start")
    with gr.Row(elem_classes="buttons"):
        pause = gr.Button("Pause", size="sm", interactive=False, elem_id="pause")
        resume = gr.Button("Resume", size="sm", interactive=False, elem_id="resume")
        stop = gr.Button("Stop", size="sm", interactive=False, elem_id="stop")
    return RunWidgets(start=start, pause=pause, resume=resume, stop=stop, estimate=estimate)


def opened_outputs(form: FormWidgets, run: RunWidgets) -> list[Any]:
    return [getattr(form, name) for name in FORM_FIELDS]


def opened_values(card: Mapping[str, Any], info: Mapping[str, Any] | None, words: Words) -> list[Any]:
    values = form_values(card, info["spec"] if info else None)
    return [values.get(field, gr.skip()) for field in FORM_FIELDS]


def read_options(form: Form) -> dict[str, Any]:
    """What moves the winner (`Session.select`), without any new computation."""
    return {
        "target_class": form.target_class,
        "goal": form.goal,
        "policy": form.policy,
        "ratio": float(form.ratio),
        "any_feature_factor": bool(form.any_feature_factor),
    }


def read_grid(form: Form, card: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """(feature factors, learning rates) that the form describes; refuses in a sentence."""
    if form.preset != TYPED:
        preset = card["presets"][form.preset]
        return list(preset["feature_factors"]), list(preset["learning_rates"])
    return (
        read_numbers(form.typed_factors, "feature factors"),
        read_numbers(form.typed_rates, "learning rates"),
    )


def read_numbers(text: str, what: str) -> list[float]:
    """Comma separated numbers, each once, ascending."""
    words = [word.strip() for word in text.replace(";", ",").split(",")]
    numbers: set[float] = set()
    for word in filter(None, words):
        try:
            number = float(word)
        except ValueError:
            raise BadGrid(
                f"{word!r} among the {what} is not a number. Write numbers with a point, separated by commas, "
                "for example: 0.05, 0.1, 0.2"
            ) from None
        if number != number or abs(number) == float("inf"):
            raise BadGrid(f"{word!r} among the {what} is not a finite number. Give numbers such as 0.05, 0.1, 0.2")
        numbers.add(number + 0.0)
    if not numbers:
        raise BadGrid(f"The list of {what} is empty. Give at least one number, for example: 0.1")
    return sorted(numbers)


def build_spec(form: Form, data: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """The spec for `Session.start_sweep`."""
    feature_factors, learning_rates = read_grid(form, card)
    return {
        "goal": form.goal,
        "feature_factors": feature_factors,
        "learning_rates": learning_rates,
        "again": bool(form.again),
        **data.get("spec", {}),
    }


def start(session: Session, checkpoint: str, form: Form, data: Mapping[str, Any]) -> str:
    """Queue the sweep that form and data describe and give its run id."""
    if not checkpoint:
        raise BadGrid("There is no model to sweep yet. Load the demo or a folder first.")
    answer = session.start_sweep(checkpoint, build_spec(form, data, session.card(checkpoint)))
    return str(answer["run"])


def form_values(card: Mapping[str, Any], spec: Mapping[str, Any] | None) -> dict[str, Any]:
    """Updates of the form for a card; with a spec, as that sweep was started."""
    classes = [str(name) for name in card["classes"]]
    updates: dict[str, Any] = {
        "target_class": gr.Radio(classes, value=_first_class(card, spec)),
        "goal": gr.skip(),
        "preset": gr.skip(),
        "typed_factors": gr.skip(),
        "typed_rates": gr.skip(),
    }
    if spec is None:
        return updates
    preset = preset_of(spec, card)
    factors, rates = (", ".join(f"{x:g}" for x in spec[key]) for key in ("feature_factors", "learning_rates"))
    if spec.get("goal") in GOAL_NAMES:
        updates["goal"] = gr.Radio(value=spec["goal"])
    updates["preset"] = gr.Radio(value=preset)
    updates["typed_factors"] = gr.Textbox(value=factors, visible=preset == TYPED)
    updates["typed_rates"] = gr.Textbox(value=rates, visible=preset == TYPED)
    return updates


def preset_of(spec: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    """Which preset a spec's grid is; `typed` where it is none."""
    wanted = (sorted(spec["feature_factors"]), sorted(spec["learning_rates"]))
    for name in (DEFAULT, DENSE):
        preset = card["presets"][name]
        if (sorted(preset["feature_factors"]), sorted(preset["learning_rates"])) == wanted:
            return name
    return TYPED


def first_options(card: Mapping[str, Any], spec: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of a page that has just opened."""
    goal = (spec or {}).get("goal")
    return {
        "target_class": _first_class(card, spec),
        "goal": goal if goal in GOAL_NAMES else GOAL_NAMES[0],
        "policy": POLICIES[0][1],
        "ratio": RATIO,
        "any_feature_factor": False,
    }


def _first_class(card: Mapping[str, Any], spec: Mapping[str, Any] | None) -> str:
    targets = (spec or {}).get("target_classes")
    return str(targets[-1] if targets else card["classes"][-1])


def metric_label(options: Mapping[str, Any], words: Words) -> str:
    """Title of the empty map, before a run gives the exact one."""
    name = f"P({options['target_class']})"
    return f"{name} on the other rows" if options["goal"] == "strengthen" else f"1 {chr(0x2212)} {name} on its own rows"


def build_estimate(form: Form, data: Mapping[str, Any], card: Mapping[str, Any] | None, words: Words) -> Node:
    """How many cells, about how long; the sentence of a refusal where the grid cannot be read."""
    if card is None:
        return node("p", "–", cls="estimate quiet")
    try:
        factors, rates = read_grid(form, card)
    except BadGrid as error:
        return node("p", str(error), cls="estimate danger", role="alert")
    cells = len(factors) * len(rates)
    seconds = card["seconds_per_cell"]
    size = f"{cells} cells ({len(factors)} × {len(rates)})"
    duration = f", about {clock(cells * seconds)}" if seconds else ", time not known yet"
    return node("p", size + duration, cls="estimate quiet")


def button_states(state: str, loaded: bool, words: Words) -> list[dict[str, Any]]:
    """Updates of start, pause, resume, stop for a run's state ("" without one)."""
    return [
        gr.update(interactive=loaded and state not in BUSY_STATES, value=START_AGAIN if state else START),
        gr.update(interactive=state in BUSY_STATES),
        gr.update(interactive=state in RESUMABLE),
        gr.update(interactive=state in (*BUSY_STATES, "paused")),
    ]
