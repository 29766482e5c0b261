"""The middle and right of the page: linked maps, row chart, the reason card, run chip and step strip.

Everything here is a function of one picture (`Session.picture`) and one view (options and chosen cell). Knows no widget
of the form and starts nothing; `follow` only watches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import gradio as gr
from gradio.blocks import Block

from gradiend_ui.engine.answers.run import Picture, SelectionAnswer
from gradiend_ui.engine.errors import GradiendUIError, NotFound
from gradiend_ui.engine.values import ACTIVE_STATES, CellPlace
from gradiend_ui.figures.heatmap import (
    MapsPayload,
    Marks,
    Measure,
    RowPayload,
    build_maps,
    build_row_chart,
    empty_picture,
)
from gradiend_ui.ui.grid.csv_export import stem_of
from gradiend_ui.ui.grid.heatmap import Heatmap, Picked
from gradiend_ui.ui.grid.measures import board_of, kept_measure, lms_measure, row_lines
from gradiend_ui.ui.grid.reason import build_reason, threshold_asked
from gradiend_ui.ui.grid.row_chart import RowChart
from gradiend_ui.ui.kit.status import build_run_chip, build_steps
from gradiend_ui.ui.kit.tree import Node, Tree, ordered
from gradiend_ui.ui.kit.viewer import View, Viewers
from gradiend_ui.ui.kit.words import Words

if TYPE_CHECKING:
    from gradiend_ui.server.session import Session

FASTEST = 1 / 8
CHECK_EVERY = 0.04
CHECK_IDLE = 0.5
LONGEST_ABSENCE = 30.0
"""Seconds that a run is followed for a page that is not open: it may just be connecting again."""


@dataclass(frozen=True)
class BoardWidgets:
    maps: Heatmap
    row_chart: RowChart
    reason: Tree
    run_chip: Tree
    steps: Tree
    file: gr.DownloadButton


class FileNames(TypedDict):
    """How files of the grid are called, and the line below the title of an exported picture."""

    stem: str
    subtitle: str


class BoardPayload(MapsPayload):
    """The maps with what belongs to the page. shows: what the maps show, "" before any sweep; order: see `ordered`."""

    shows: str
    file: FileNames
    order: list[float]


@dataclass(frozen=True)
class Shown:
    """One state of the board, as plain values; `state` is the run's ("" without one).

    Those of a run are in the order of the page's view and then of the run's revision: see `ordered`.
    """

    maps: BoardPayload
    row_chart: RowPayload
    reason: Node
    run_chip: Node
    steps: Node
    state: str


def show(session: Session, view: View, words: Words, held: str = "") -> Shown:
    """The newest picture of the view's run. held: the version of the tables that the page already has."""
    picture = session.picture(view.run, view.options)
    row_chart, reason = _cell(picture, view, words)
    steps = build_steps(words, loaded=True, state=picture["state"], has_cells=picture["done"] > 0)
    order = view.version, picture["rev"]
    return Shown(
        maps=_maps(session, picture, view, words, held),
        row_chart=row_chart,
        reason=reason,
        run_chip=ordered(order, build_run_chip(picture, words, view.run)),
        steps=ordered(order, steps),
        state=picture["state"],
    )


def show_cell(session: Session, view: View, words: Words) -> tuple[RowPayload, Node]:
    """(row chart, reason) of the chosen cell: all that a move over the grid changes."""
    return _cell(session.picture(view.run, view.options), view, words)


def _cell(picture: Picture, view: View, words: Words) -> tuple[RowPayload, Node]:
    cell = cell_of(view, picture["selection"])
    chart = build_row_chart(picture, row_lines(picture, view.options, words), cell, threshold_asked(view.options))
    order = view.version, picture["rev"]
    return ordered(order, chart), ordered(order, build_reason(picture, view.options, cell, words))


def show_maps(session: Session, view: View, words: Words, held: str = "") -> BoardPayload:
    """The maps alone: all that another choice of what they show changes."""
    return _maps(session, session.picture(view.run, view.options), view, words, held)


def _maps(session: Session, picture: Picture, view: View, words: Words, held: str) -> BoardPayload:
    """The maps' payload with what belongs to the page: what is shown, why rows cannot win, what files are called."""
    board = board_of(picture, view.options, view.shows, words)
    name, goal = view.options["target_class"], view.options["goal"]
    marks = Marks(view.pinned, words(f"grid.cannot_win_{goal}", name=name), view.chosen)
    payload = build_maps(picture, view.run, board.maps, board.details, marks=marks, matrix=board.matrix, held=held)
    model = str(session.run_info(view.run)["card"]["name"])
    subtitle = f"{model}, {words(f'grid.winner_{goal}', name=name)}"
    file: FileNames = {"stem": stem_of(model, name, goal, view.run), "subtitle": subtitle}
    return {**payload, "shows": board.shows, "file": file, "order": [view.version, picture["rev"]]}


def show_empty(
    axes: tuple[Sequence[float], Sequence[float]],
    label: str,
    words: Words,
    order: tuple[int, float],
) -> Shown:
    """The grid that the form describes, before any sweep. axes: feature factors and learning rates; order: of the view,
    then of the question for this grid."""
    picture = empty_picture(*axes)
    metric = Measure("metric", label, "probability", picture["metric"], None, words("grid.empty"))
    kept = kept_measure(picture, words)
    maps = build_maps(picture, "", [metric, kept], [lms_measure(picture, words)])
    return Shown(
        maps={**maps, "shows": "", "file": {"stem": "grid", "subtitle": ""}, "order": [*order]},
        row_chart=ordered(order, build_row_chart(picture, [("kept", kept)], None, None)),
        reason=ordered(order, build_reason(None, {}, None, words)),
        run_chip=ordered(order, build_run_chip(None, words)),
        steps=ordered(order, build_steps(words, loaded=True, state="", has_cells=False)),
        state="",
    )


def cell_of(view: View, selection: SelectionAnswer | None) -> CellPlace | None:
    """The chosen cell, else the best one, else None."""
    if view.chosen is not None:
        return {"feature_factor": view.chosen[0], "learning_rate": view.chosen[1]}
    if selection is None:
        return None
    return {"feature_factor": selection["feature_factor"], "learning_rate": selection["learning_rate"]}


def selected_cell(session: Session, view: View) -> CellPlace | None:
    """As `cell_of`, asking the session for the best cell only where none is chosen."""
    if not view.run or view.chosen is not None:
        return cell_of(view, None)
    return cell_of(view, session.picture(view.run, view.options)["selection"])


def choose(viewers: Viewers, page: str, value: Picked) -> View | None:
    """Take over a `select` event of the maps: a hand picks a cell; `best` goes back to following the winner, which
    `follows` says has moved. None where a newer selection overtook this one."""
    follows = value.get("how") in ("best", "follows")
    chosen = None if follows else (float(value["feature_factor"]), float(value["learning_rate"]))
    return viewers.choose(page, float(value["nth"]), chosen)


async def follow(session: Session, viewers: Viewers, page: str, run: str, words: Words) -> AsyncIterator[Shown]:
    """The newest state at once, then every change, at most eight a second; with many followers, less often.

    Ends with the run, when the page gets another follower, or when it is not open any more. Raises NotFound when the
    run was deleted meanwhile.
    """
    if not run:
        return
    with viewers.following(page, run):
        async for shown in _changes(session, viewers, page, run, words):
            yield shown


async def _changes(session: Session, viewers: Viewers, page: str, run: str, words: Words) -> AsyncIterator[Shown]:
    follower = viewers.begin_to_follow(page, run)
    seen: tuple[int, str, int] | None = None
    last_open = time.monotonic()
    while viewers.may_follow(page, follower):
        last_open = time.monotonic() if viewers.is_open(page) else last_open
        if time.monotonic() - last_open > LONGEST_ABSENCE:
            return
        try:
            now = await asyncio.to_thread(session.revision, run)
            if now != seen:
                seen = now
                yield await asyncio.to_thread(show, session, viewers.get(page), words)
                if now[1] not in ACTIVE_STATES:
                    return
                await asyncio.sleep(FASTEST * viewers.crowd)
                continue
        except NotFound:
            if viewers.get(page).run == run:
                raise
            return
        except GradiendUIError:
            return
        await asyncio.sleep(CHECK_IDLE if now[1] == "paused" else CHECK_EVERY * viewers.crowd)


def outputs(board: BoardWidgets) -> list[Block]:
    """The components that `values` fills, in its order."""
    return [board.maps, board.row_chart, board.reason, board.run_chip, board.steps]


def values(shown: Shown) -> list[object]:
    return [shown.maps, shown.row_chart, shown.reason, shown.run_chip, shown.steps]
