"""Why this cell: the card on the right with the selected cell's numbers and the winner's reasons.

Trees from a picture and a selection; the sentence itself comes from the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.figures.maps import place_of
from gradiend_ui.figures.numbers import cell_name, change, plain, three_digits
from gradiend_ui.ui.tree import Node, facts, node
from gradiend_ui.ui.words import Words

WAITING = "The sweep scores every cell of the grid. The best one is starred here with its reasons."
NO_WINNER = "No finished cell to choose from yet."
CHECKED = {
    "verified": ("good", "Verified.", ""),
    "partly": ("warn", "Partly verified.", ""),
    "differs": ("danger", "Stale.", " Start a new sweep to see today's numbers."),
    "unchecked": ("warn", "Not verified.", ""),
}
STATUS_WORDS = {
    "pending": "not computed yet",
    "provisional": "provisional",
    "final": "final",
    "skipped": "skipped",
    "failed": "failed",
}


def build_reason(
    picture: Mapping[str, Any] | None, options: Mapping[str, Any], cell: Mapping[str, Any] | None, words: Words
) -> Node:
    """`cell` is the selected one; the winner is in the picture's selection."""
    if picture is None:
        return node("div", _numbers(None, None), node("p", WAITING, cls="quiet"), cls="reason")
    return node(
        "div",
        _error(picture),
        _imported(picture["imported"]),
        _headline(picture, cell),
        _numbers(picture, place_of(picture, cell)),
        _cell_note(picture, place_of(picture, cell)),
        _winner(picture["selection"], options),
        cls="reason",
    )


def _error(picture: Mapping[str, Any]) -> Node | None:
    return node("p", str(picture["error"]), cls="danger", role="alert") if picture["error"] else None


def _imported(imported: Mapping[str, Any] | None) -> Node | None:
    """Where the numbers of a run come from that was not swept here, and whether they still hold."""
    if imported is None:
        return None
    kind, word, advice = CHECKED[imported["check"]]
    role = "alert" if kind == "danger" else "status"
    return node("p", node("strong", word), node("span", imported["note"] + advice), cls=f"imported {kind}", role=role)


def _headline(picture: Mapping[str, Any], cell: Mapping[str, Any] | None) -> Node:
    if cell is None:
        return node("p", node("span", "No cell selected", cls="quiet"), cls="headline")
    selection = picture["selection"]
    is_best = bool(selection) and place_of(picture, selection) == place_of(picture, cell)
    badge = "Selected cell"
    if is_best:
        badge = "Fallback" if selection["fallback"] else "★ Best cell"
    return node(
        "p",
        node("strong", cell_name(cell["feature_factor"], cell["learning_rate"]), cls="num"),
        node("span", badge, cls="badge fallback" if is_best and selection["fallback"] else "badge"),
        cls="headline",
        title="(feature factor, learning rate)",
    )


def _numbers(picture: Mapping[str, Any] | None, place: list[int] | None) -> Node:
    rows = [_number_row("–", None, None)] * 3 if picture is None else _measures(picture, place)
    head = node("tr", *(node("th", text, scope="col") for text in ("", "base", "here", "change")))
    return node("table", node("thead", head), node("tbody", *rows), cls="numbers")


def _measures(picture: Mapping[str, Any], place: list[int] | None) -> list[Node]:
    base = picture["base"]

    def at(table: list[list[float | None]]) -> float | None:
        return table[place[0]][place[1]] if place else None

    return [
        _number_row(picture["metric_label"], base and base["metric"], at(picture["metric"]), "strong"),
        _number_row("LMS", base and base["lms"], at(picture["lms"])),
        _number_row("LMS / base", 1.0 if base else None, at(picture["lms_ratio"])),
    ]


def _number_row(label: str, base: float | None, here: float | None, cls: str = "") -> Node:
    difference = here - base if here is not None and base is not None else None
    return node(
        "tr",
        node("th", label, scope="row"),
        node("td", three_digits(base), cls="base"),
        node("td", three_digits(here), cls="here"),
        node("td", change(difference)),
        cls=cls,
    )


def _cell_note(picture: Mapping[str, Any], place: list[int] | None) -> Node:
    """One line, always there, so that nothing moves when a value arrives."""
    if place is None:
        return node("p", NO_WINNER, cls="quiet line")
    row, column = place
    status, reason = picture["status"][row][column], picture["reason"][row][column]
    if status == "provisional":
        rows = f"{picture['rows_done'][row][column]} of {picture['rows_total']} rows"
        return node("p", f"provisional: {rows}", cls="line")
    if status != "final":
        words = STATUS_WORDS.get(status, status)
        kind = "warn" if status == "failed" else "quiet"
        return node("p", f"{words}: {reason}" if reason else words, cls=f"line {kind}")
    if picture["passes"][row][column] is False:
        return node("p", "below the LMS threshold", cls="line warn")
    return node("p", "passes the LMS threshold" if picture["passes"][row][column] else "final", cls="line good")


def _winner(selection: Mapping[str, Any] | None, options: Mapping[str, Any]) -> Node | None:
    if selection is None:
        return node("div", cls="winner")
    width = selection["threshold_tokens"]
    cut = plain(options["ratio"])
    return node(
        "div",
        node("p", selection["why"], cls="why danger" if selection["fallback"] else "why", role="status"),
        facts(
            ("runner-up", _other(selection["runner_up"], selection)),
            ("rejected", _other(selection["rejected"], selection)),
            ("threshold", _tokens(width, cut)) if width is not None else None,
        ),
        cls="winner",
    )


def _tokens(width: float, cut: str) -> str:
    return f"{cut} is {width:.1f} masked tokens wide"


def _other(cell: Mapping[str, Any] | None, selection: Mapping[str, Any]) -> str:
    if not cell:
        return "none"
    text = f"{cell_name(cell['feature_factor'], cell['learning_rate'])} {three_digits(cell.get('value'))}"
    lms, base = cell.get("lms"), selection["base_lms"]
    return f"{text}, LMS {three_digits(lms / base)} of base" if lms is not None and base else text
