"""What a sweep would cost and what its grid can answer, before it is started: one line, and notes where there are any.

Trees from the form's values, the data that was chosen and a card; knows no widget and asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.data import ChosenData
from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.selection.winner import Question, wanted_feature_factors, winning_feature_factors
from gradiend_ui.engine.sweep.axes import read_axis
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.values import BFLOAT16, DECODER, WINNER_GOALS, Grid
from gradiend_ui.figures.numbers import clock, signed
from gradiend_ui.ui.kit.tree import Node, node
from gradiend_ui.ui.kit.words import Words
from gradiend_ui.ui.sweep.form import (
    FACTORS,
    FINE,
    LISTED,
    LOOK_BFLOAT16,
    RATES,
    Form,
    asked_sweep,
    read_grid,
)

CountKnown = Callable[[AskedSweep], int]


def build_estimate(
    form: Form,
    data: ChosenData,
    card: Card | None,
    words: Words,
    count_known: CountKnown | None = None,
) -> Node:
    """How many cells, how many of them are known, about how long; a sentence where the grid cannot be read.

    count_known: how many cells that a spec asks for are scored already.
    """
    if card is None:
        return _line(words("sweep.no_model"))
    try:
        grid = read_grid(form, card)
        known = count_known(asked_sweep(form, data, card)) if count_known else 0
    except GradiendUIError as error:
        if _is_told_above(form):
            return _line(words("sweep.unreadable"))
        return node("p", words.of(error), cls="estimate danger", role="alert")
    return node(
        "div",
        _line(_cost(form, grid, known, data, card, words)),
        *(node("p", note, cls="estimate-note") for note in _notes(form, grid, card, words)),
    )


def _line(text: str) -> Node:
    return node("p", text, cls="estimate quiet", role="status")


def _is_told_above(form: Form) -> bool:
    """Whether one of the visible lists says itself what is wrong with it."""
    if form.preset not in LISTED or (form.preset == FINE and not form.typed_factors.strip()):
        return False
    try:
        read_axis(form.typed_factors, FACTORS)
        read_axis(form.typed_rates, RATES)
    except GradiendUIError:
        return True
    return False


def _cost(form: Form, grid: Grid, known: int, data: ChosenData, card: Card, words: Words) -> str:
    """Cells and time; a cell's time was measured in float32, and a search for the winner finishes some cells only."""
    rows, columns = len(grid.feature_factors), len(grid.learning_rates)
    size = words.counted("sweep.cells", len(grid), rows=rows, columns=columns)
    if known == len(grid):
        return size + words("sweep.all_known")
    share = words("sweep.some_known", known=known, new=len(grid) - known) if known else ""
    seconds = data.get("seconds_per_cell") or card["seconds_per_cell"]
    if not seconds:
        return size + share + words("sweep.time_unknown")
    how = "at_most" if form.winner_only else "about"
    time = words(f"sweep.{how}", time=clock((len(grid) - known) * seconds))
    return size + share + time + (words("sweep.in_float32") if form.arithmetic == BFLOAT16 else "")


def _notes(form: Form, grid: Grid, card: Card, words: Words) -> list[str]:
    """What the grid cannot answer as it is described."""
    notes = [] if form.part == DECODER else [words("sweep.part_ignores_factor")]
    if form.winner_only and form.arithmetic == LOOK_BFLOAT16:
        notes.append(words("sweep.look_unused"))
    strengthening, name = card["strengthening_feature_factor"], str(form.asked_class)
    if name not in strengthening and not form.any_feature_factor:
        signs = {factor > 0 for factor in grid.feature_factors if factor}
        return [*notes, words("sweep.no_direction" if len(signs) > 1 else "sweep.one_sign", name=name)]
    if form.any_feature_factor or name not in strengthening or len(strengthening) < 2:
        return notes
    if not any(_able(form.asked_goal, name, strengthening, grid)):
        wanted = ", ".join(map(signed, wanted_feature_factors(name, form.asked_goal, strengthening)))
        goal = words(f"sweep.goal_{form.asked_goal}_verb", name=name)
        return [*notes, words("sweep.none_can_win", goal=goal, wanted=wanted)]
    able = [
        any(answers)
        for answers in zip(
            *(_able(goal, each, strengthening, grid) for each in strengthening for goal in WINNER_GOALS), strict=True
        )
    ]
    if not all(able):
        notes.append(words("sweep.some_cannot_win", unable=able.count(False), rows=len(able)))
    return notes


def _able(goal: str, name: str, strengthening: Mapping[str, float], grid: Grid) -> tuple[bool, ...]:
    """For each row whether it can win this goal for this class."""
    return winning_feature_factors(Question(name, tuple(strengthening), strengthening, goal), grid.feature_factors)
