"""Why the best cell won, in the page's language: the engine's sentence, from the same selection; and what a search for
the winner left out. Knows no widget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.selection import shown_below
from gradiend_ui.figures.numbers import cell_name, plain, three_digits
from gradiend_ui.ui.tree import Node, node
from gradiend_ui.ui.words import Words

THRESHOLD_POLICY = "lms_threshold"


def verdict(selection: Mapping[str, Any], options: Mapping[str, Any], words: Words) -> str:
    """One or two sentences: the winner with its numbers, then the first better cell that was turned down."""
    won = {
        "cell": cell_name(selection["feature_factor"], selection["learning_rate"]),
        "what": words(f"grid.what_{options['goal']}", name=options["target_class"]),
        "value": three_digits(selection["value"]),
        "base": three_digits(selection["base_value"]),
        "kept": _kept(selection["lms"], selection["base_lms"], words),
        "ratio": plain(options["ratio"]),
    }
    if selection["fallback"]:
        return words("grid.why_fallback", **won)
    if selection["learning_rate"] == 0:
        return words("grid.why_base", **won)
    rejected = selection["rejected"]
    if rejected is None or options["policy"] != THRESHOLD_POLICY or not selection["base_lms"]:
        return words("grid.why_wins", **won)
    turned_down = {
        "cell": cell_name(rejected["feature_factor"], rejected["learning_rate"]),
        "value": three_digits(rejected["value"]),
        "kept": shown_below(rejected["lms"] / selection["base_lms"], options["ratio"]),
        "ratio": won["ratio"],
    }
    return f"{words('grid.why_wins', **won)} {words('grid.why_rejected', **turned_down)}"


def search_notes(picture: Mapping[str, Any], options: Mapping[str, Any], words: Words) -> list[Node]:
    """What a search for the winner left unfinished, and whether that matters for what is asked now; [] without one."""
    search, skipped = picture["search"], picture["skipped"]
    if search is None or not skipped:
        return []
    notes = [node("p", words("grid.search_saved", skipped=skipped, total=picture["total"]), cls="line quiet searched")]
    if not is_searched(search, options):
        goal = words(f"sweep.goal_{'both' if len(search['goals']) > 1 else search['goals'][0]}")
        text = words("grid.search_other", goal=goal, ratio=plain(search["ratio"]))
        notes.append(node("p", text, cls="line warn searched", role="status"))
    return notes


def is_searched(search: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether the question is one whose winner the search made certain."""
    return (
        options["policy"] == THRESHOLD_POLICY
        and options["ratio"] == search["ratio"]
        and not options["any_feature_factor"]
        and options["goal"] in search["goals"]
        and options["target_class"] in search["target_classes"]
    )


def _kept(lms: float, base_lms: float | None, words: Words) -> str:
    return words("grid.why_kept", kept=f"{lms / base_lms:.3f}") if base_lms else words("grid.why_not_comparable")
