"""Step 2, Sweep: what to change, which grid, how to pick the winner, and the buttons that start, pause and stop.

Lays out and fills in; what the values mean is in `form`, what they cost in `estimate`. `Threshold` takes a typed
number as its box then shows it, the nearest in its range: Gradio's own refuses one out of range and says nothing when
the browser snaps it into the range afterwards, and the page would show a threshold that nothing was computed with.
Knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.run import RunInfo, RunSpec, SelectOptions
from gradiend_ui.engine.selection.policies import DEFAULT_POLICY, POLICIES
from gradiend_ui.engine.sweep.axes import spelled
from gradiend_ui.engine.values import (
    ACTIVE_STATES,
    BOTH,
    DECODER,
    DEFAULT_PRECISION,
    DEFAULT_RATIO,
    GOALS,
    GOING_STATES,
    PARTS,
    REFERENCE,
    RESUMABLE_STATES,
    TOKEN_BOUNDARIES,
    WINNER_GOALS,
)
from gradiend_ui.ui.kit.tree import Tree, node
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.sweep import control, lists
from gradiend_ui.ui.sweep import form as described
from gradiend_ui.ui.sweep.form import (
    ARITHMETICS,
    DEFAULT,
    FORM_FIELDS,
    LISTED,
    LOWEST_RATIO,
    PRESETS,
    first_options,
)


class Threshold(gr.Slider):
    """The share of the base's LMS that must stay, in [`LOWEST_RATIO`, 1]."""

    is_template = True  # drawn as Gradio's slider

    def preprocess(self, payload: float | None) -> float:
        return snapped(payload)


def snapped(ratio: float | None) -> float:
    return DEFAULT_RATIO if ratio is None else min(max(float(ratio), LOWEST_RATIO), 1.0)


__all__ = [
    "DEFAULT", "EXPLAINED", "FORM_FIELDS", "FormWidgets", "RunWidgets", "build", "button_states", "first_options",
    "metric_label", "opened_outputs", "opened_values",
]  # fmt: skip

MOST_BUTTONS = 4
"""So many classes stand side by side; more are a list to choose from."""
SINGLE_UPDATE_PARTS = (DECODER, "decoder-bias", "decoder-sum")
"""The parts that are one update whatever the latent dimension."""

EXPLAINED: dict[str, str] = {
    "target-class": "sweep.class",
    "class-list": "sweep.class",
    "goal": "sweep.goal",
    "winner-goal": "sweep.winner_goal",
    "preset": "sweep.preset",
    "typed-factors": "sweep.factors",
    "typed-rates": "sweep.rates",
    "range-for": "sweep.range_for",
    "range-first": "sweep.range_first",
    "range-last": "sweep.range_last",
    "range-count": "sweep.range_count",
    "range-spacing": "sweep.range_spacing",
    "ratio": "sweep.ratio",
    "policy": "sweep.policy",
    "part": "sweep.part",
    "token-boundary": "sweep.token_boundary",
    "arithmetic": "sweep.arithmetic",
    "winner-only": "sweep.winner_only",
    "any-factor": "sweep.any_factor",
    "again": "sweep.again",
    "control-link": "sweep.control_link",
}
"""Widget id: the text that explains it."""


@dataclass(frozen=True)
class FormWidgets:
    """The widgets of `form.Form` under its names, then the two lists with what belongs to them."""

    target_class: gr.Radio
    class_list: gr.Dropdown
    goal: gr.Radio
    winner_goal: gr.Radio
    policy: gr.Dropdown
    ratio: gr.Slider
    any_feature_factor: gr.Checkbox
    preset: gr.Radio
    typed_factors: gr.Textbox
    typed_rates: gr.Textbox
    part: gr.Dropdown
    token_boundary: gr.Radio
    arithmetic: gr.Dropdown
    winner_only: gr.Checkbox
    again: gr.Checkbox
    lists: lists.ListWidgets


@dataclass(frozen=True)
class RunWidgets:
    start: gr.Button
    pause: gr.Button
    resume: gr.Button
    stop: gr.Button
    estimate: Tree
    control: control.ControlWidgets


def policy_choices(words: Words) -> list[tuple[str, str]]:
    """(label, name) of every policy that is registered."""
    return [(words.given(f"sweep.policy_{name}", POLICIES[name].labels), name) for name in POLICIES]


def build(words: Words) -> tuple[FormWidgets, RunWidgets]:
    with gr.Column(elem_id="step-sweep", elem_classes="panel"):
        Tree(node("h2", words("sweep.title")), elem_classes="panel-title")
        target_class, class_list = _build_classes(words)
        goal = _choice("goal", [(words(f"sweep.goal_{name}"), name) for name in GOALS], words)
        winner_goal = _choice("winner_goal", [(words(f"sweep.goal_{name}"), name) for name in WINNER_GOALS], words)
        preset = _choice("preset", [(words(f"sweep.preset_{name}"), name) for name in PRESETS], words)
        listed = lists.build(words)
        ratio = Threshold(LOWEST_RATIO, 1.0, DEFAULT_RATIO, step=0.005, label=words("sweep.ratio"), elem_id="ratio")
        policy = gr.Dropdown(policy_choices(words), value=DEFAULT_POLICY, label=words("sweep.policy"), elem_id="policy")
        winner_only = _switch("winner_only", words)
        more = _build_more(words)
        run = _build_buttons(words)
    form = FormWidgets(
        target_class,
        class_list,
        goal,
        winner_goal,
        policy,
        ratio,
        more.any_factor,
        preset,
        listed.factors,
        listed.rates,
        more.part,
        more.token_boundary,
        more.arithmetic,
        winner_only,
        more.again,
        listed,
    )
    return form, run


def _build_classes(words: Words) -> tuple[gr.Radio, gr.Dropdown]:
    label = words("sweep.class")
    few = gr.Radio([], label=label, elem_id="target-class", elem_classes="segmented")
    return few, gr.Dropdown([], label=label, elem_id="class-list", elem_classes="inline", visible=False)


def _choice(name: str, choices: list[tuple[str, str]], words: Words) -> gr.Radio:
    return gr.Radio(
        choices,
        value=choices[0][1],
        label=words(f"sweep.{name}"),
        elem_id=name.replace("_", "-"),
        elem_classes="segmented",
        visible=name != "winner_goal",
    )


def _switch(name: str, words: Words) -> gr.Checkbox:
    return gr.Checkbox(False, label=words(f"sweep.{name}"), elem_id=name.replace("_", "-"), container=False)


@dataclass(frozen=True)
class _More:
    """What few sweeps need."""

    part: gr.Dropdown
    token_boundary: gr.Radio
    arithmetic: gr.Dropdown
    any_factor: gr.Checkbox
    again: gr.Checkbox


def _build_more(words: Words) -> _More:
    """Closed until asked for."""
    with gr.Accordion(words("sweep.more"), open=False, elem_id="sweep-more"):
        part = gr.Dropdown(_parts(None, words), value=DECODER, label=words("sweep.part"), elem_id="part")
        boundaries = [(words(f"sweep.token_boundary_{name}"), name) for name in TOKEN_BOUNDARIES]
        token_boundary = gr.Radio(
            boundaries,
            value=REFERENCE,
            label=words("sweep.token_boundary"),
            elem_id="token-boundary",
            elem_classes="stacked",
            visible=False,
        )
        numbers = [(words(f"sweep.arithmetic_{name}"), name) for name in ARITHMETICS]
        arithmetic = gr.Dropdown(
            numbers, value=DEFAULT_PRECISION, label=words("sweep.arithmetic"), elem_id="arithmetic"
        )
        any_factor, again = _switch("any_factor", words), _switch("again", words)
    return _More(part, token_boundary, arithmetic, any_factor, again)


def _parts(card: Card | None, words: Words) -> list[tuple[str, str]]:
    """The parts that this GRADIEND has as one update."""
    single = card is None or card["latent_dim"] == 1
    names = [name for name in PARTS if single or name in SINGLE_UPDATE_PARTS]
    return [(words(f"sweep.part_{name.replace('-', '_')}"), name) for name in names]


def _build_buttons(words: Words) -> RunWidgets:
    estimate = Tree(node("p", words("sweep.no_model"), cls="estimate quiet"), elem_id="estimate")
    with gr.Row(elem_classes="buttons", elem_id="run-buttons"):
        start = gr.Button(words("sweep.start"), variant="primary", interactive=False, elem_id="start", min_width=0)
        pause = gr.Button(words("sweep.pause"), size="sm", interactive=False, elem_id="pause", min_width=0)
        resume = gr.Button(words("sweep.resume"), size="sm", interactive=False, elem_id="resume", min_width=0)
        stop = gr.Button(words("sweep.stop"), size="sm", interactive=False, elem_id="stop", min_width=0)
    return RunWidgets(start, pause, resume, stop, estimate, control.build(words))


def opened_outputs(form: FormWidgets, run: RunWidgets) -> list[Block]:
    named = [getattr(form, name) for name in FORM_FIELDS]
    return [*named, form.lists.group, form.lists.factors_read, form.lists.rates_read]


def opened_values(card: Card, info: RunInfo | None, words: Words) -> list[object]:
    """The form for a card; with a run, as that sweep was started."""
    values = form_values(card, info["spec"] if info else None, words)
    return [values[name] for name in (*FORM_FIELDS, "group", "factors_read", "rates_read")]


def form_values(card: Card, spec: RunSpec | None, words: Words) -> dict[str, object]:
    """Updates of the form and its lists by name; with a spec, as that sweep was started."""
    goal, winner_goal = described.first_goals(spec)
    preset = described.preset_of(spec, card) if spec else DEFAULT
    grid = spec or card["presets"][DEFAULT]
    factors, rates = spelled(grid["feature_factors"]), spelled(grid["learning_rates"])
    part = spec.get("part", DECODER) if spec else DECODER
    boundary = spec.get("token_boundary", REFERENCE) if spec else REFERENCE
    return {
        **_class_values(card, described.first_class(card, spec)),
        "goal": gr.update(value=goal),
        "winner_goal": gr.update(value=winner_goal, visible=goal == BOTH),
        "policy": gr.update(value=DEFAULT_POLICY),
        "ratio": gr.update(value=described.first_ratio(spec)),
        "any_feature_factor": gr.update(value=False),
        "preset": gr.update(value=preset),
        "typed_factors": gr.update(value=factors),
        "typed_rates": gr.update(value=rates),
        "part": gr.update(choices=_parts(card, words), value=part if part in PARTS else DECODER),
        "token_boundary": gr.update(value=boundary, visible=card["two_boundaries"]),
        "arithmetic": gr.update(value=described.arithmetic_of(spec or {})),
        "winner_only": gr.update(value=bool(spec and spec.get("winner_only"))),
        "again": gr.update(value=False),
        "group": gr.update(visible=preset in LISTED),
        "factors_read": lists.build_read_back(factors, described.FACTORS, words),
        "rates_read": lists.build_read_back(rates, described.RATES, words),
    }


def _class_values(card: Card, chosen: str) -> dict[str, object]:
    classes = [str(name) for name in card["classes"]]
    few = len(classes) <= MOST_BUTTONS
    return {
        "target_class": gr.update(choices=classes if few else [], value=chosen if few else None, visible=few),
        "class_list": gr.update(choices=[] if few else classes, value=None if few else chosen, visible=not few),
    }


def metric_label(options: SelectOptions, words: Words) -> str:
    """Title of the empty map, before a run gives the exact one."""
    return words(f"sweep.metric_{options['goal']}", name=options["target_class"])


def button_states(state: str, loaded: bool, words: Words, controls: bool = True) -> list[dict[str, object]]:
    """Updates of start, pause, resume, stop for a run's state ("" without one); who watches can start."""
    start = words("sweep.start_new" if state else "sweep.start")
    return [
        gr.update(interactive=loaded and state not in GOING_STATES, value=start),
        gr.update(interactive=controls and state in GOING_STATES),
        gr.update(interactive=controls and state in RESUMABLE_STATES),
        gr.update(interactive=controls and state in ACTIVE_STATES),
    ]
