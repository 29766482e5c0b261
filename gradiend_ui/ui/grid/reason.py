"""Why this cell: the card on the right with the selected cell's numbers, and the winner's sentence in the page's words.

Trees from a picture and the question. The facts of the winner come from `engine.selection.winner_facts`, as those of
the API's English sentence do; what a search for the winner left out is told too. Every number is explained by a hover.
Knows no widget.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gradiend_ui.engine.answers.run import (
    Degenerate,
    Imported,
    Numbers,
    Picture,
    Search,
    SelectionAnswer,
    SelectOptions,
    Winner,
)
from gradiend_ui.engine.selection.policies import POLICIES
from gradiend_ui.engine.selection.winner_facts import OtherCell, WinnerFacts, facts_of
from gradiend_ui.engine.values import DEFAULT_PRECISION, CellPlace
from gradiend_ui.figures.heatmap import place_of
from gradiend_ui.figures.numbers import cell_name, change, plain, three_digits
from gradiend_ui.ui.grid.measures import metric_title
from gradiend_ui.ui.kit.status import why_broken, why_ended
from gradiend_ui.ui.kit.tree import Node, explained, facts, node, pick
from gradiend_ui.ui.kit.words import Words


def threshold_asked(options: SelectOptions) -> float | None:
    """The share of the base's LMS that the page's question asks for; None where its policy asks for none."""
    return options["ratio"] if POLICIES[options["policy"]].takes_ratio else None


def verdict(won: WinnerFacts, options: SelectOptions, words: Words) -> str:
    """One to three sentences: the winner with its numbers, the first better cell that was turned down, and that nobody
    knows which sign is the class's."""
    told = _chosen(won, options, words)
    if won.against_goal:
        told += f" {_opposite(won, options, words)}"
    if won.lms_decides_nothing:
        told += f" {words('grid.lms_decides_nothing')}"
    return told if won.direction_known else f"{told} {words('grid.why_both_signs', name=options['target_class'])}"


def _opposite(won: WinnerFacts, options: SelectOptions, words: Words) -> str:
    """That the winner does the opposite of the goal."""
    which = "kept" if won.others_gain else "none"
    return words(f"grid.{which}_{options['goal']}", name=options["target_class"])


def _chosen(won: WinnerFacts, options: SelectOptions, words: Words) -> str:
    ratio = plain(options["ratio"])
    kept = None if won.lms_ratio is None else words("grid.why_kept", kept=f"{won.lms_ratio:.3f}")
    told = {
        "cell": cell_name(won.feature_factor, won.learning_rate),
        "what": words(f"grid.what_{options['goal']}", name=options["target_class"]),
        "value": three_digits(won.value),
        "base": three_digits(won.base_value),
        "kept": kept or words("grid.why_not_comparable"),
        "ratio": ratio,
    }
    if won.fallback:
        return words("grid.why_fallback", **told)
    if won.is_base:
        return words("grid.why_base", **told)
    if won.turned_down is None:
        return words("grid.why_wins", **told)
    other, kept_there = won.turned_down
    turned_down = {
        "cell": cell_name(other.feature_factor, other.learning_rate),
        "value": three_digits(other.value),
        "kept": kept_there,
        "ratio": ratio,
    }
    return f"{words('grid.why_wins', **told)} {words('grid.why_rejected', **turned_down)}"


def search_notes(picture: Picture, options: SelectOptions, words: Words) -> list[Node]:
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


def is_searched(search: Search, options: SelectOptions) -> bool:
    """Whether the question is one whose winner the search made certain."""
    return (
        threshold_asked(options) == search["ratio"]
        and not options["any_feature_factor"]
        and options["goal"] in search["goals"]
        and options["target_class"] in search["target_classes"]
    )


CHECKED = {"verified": "good", "partly": "warn", "differs": "danger", "unchecked": "warn"}


def build_reason(picture: Picture | None, options: SelectOptions, cell: CellPlace | None, words: Words) -> Node:
    """`cell` is the selected one; the winner is in the picture's selection."""
    if picture is None:
        waiting = node("p", words("grid.waiting"), cls="quiet")
        return node("div", _numbers(None, options, None, words), waiting, cls="reason")
    place = place_of(picture, cell)
    return node(
        "div",
        _error(picture, words),
        _earlier(picture, words),
        _imported(picture["imported"], words),
        _headline(picture, cell, words),
        _numbers(picture, options, place, words),
        _precision(picture, words),
        _broken_base(picture, words),
        _cell_note(picture, place, options, words),
        _broken(picture, place, words),
        _winner(picture["selection"], options, bool(picture["skipped"]), words),
        _broken_winner(picture, place, words),
        *search_notes(picture, options, words),
        _winners(picture.get("winners") or (), cell, words),
        cls="reason",
    )


def picked_cell(value: str) -> tuple[float, float]:
    """(feature factor, learning rate) of a pressed button of the card."""
    feature_factor, learning_rate = json.loads(value)
    return float(feature_factor), float(learning_rate)


def _error(picture: Picture, words: Words) -> Node | None:
    return node("p", why_ended(picture["error"], words), cls="danger", role="alert") if picture["error"] else None


def _earlier(picture: Picture, words: Words) -> Node | None:
    """That the numbers are not today's, and how to get these."""
    return node("p", words("grid.earlier_scorer"), cls="warn", role="status") if picture["earlier_scorer"] else None


def _imported(imported: Imported | None, words: Words) -> Node | None:
    """Where the numbers of a run come from that was not swept here, and whether they still hold."""
    if imported is None:
        return None
    check = imported["check"]
    kind = CHECKED[check]
    advice = words("grid.differs_advice") if check == "differs" else ""
    role = "alert" if kind == "danger" else "status"
    word = node("strong", words(f"grid.{check}"))
    return node("p", word, node("span", imported["note"] + advice), cls=f"imported {kind}", role=role)


def _precision(picture: Picture, words: Words) -> Node | None:
    """What the numbers were computed in, where it is not float32, and how far that moves the base model's."""
    if picture["precision"] == DEFAULT_PRECISION:
        return None
    off, label = picture["precision_error"], picture["precision"]
    if off is None:
        text = words("grid.rounded_unknown", precision=label)
    else:
        named = {key: three_digits(off[key]) for key in ("probability", "lms")}
        text = words("grid.rounded", precision=label, **named)
    return node("p", explained(text, words.help("grid.rounded")), cls="line quiet precision")


def _headline(picture: Picture, cell: CellPlace | None, words: Words) -> Node:
    if cell is None:
        return node("p", node("span", words("grid.no_cell"), cls="quiet"), cls="headline")
    selection = picture["selection"]
    badge = "selected_badge"
    if selection is not None and place_of(picture, selection) == place_of(picture, cell):
        badge = "fallback_badge" if selection["fallback"] else "best_badge"
    name = node("strong", cell_name(cell["feature_factor"], cell["learning_rate"]), cls="num")
    return node(
        "p",
        explained(name, words.help("grid.cell_name")),
        node("span", words(f"grid.{badge}"), cls="badge fallback" if badge == "fallback_badge" else "badge"),
        cls="headline",
    )


def _numbers(picture: Picture | None, options: SelectOptions, place: list[int] | None, words: Words) -> Node:
    rows = [_number_row("–", None, None)] * 3 if picture is None else _measures(picture, options, place, words)
    columns = ("column_base", "column_here", "column_change")
    heads = (node("th", explained(words(f"grid.{key}"), words.help(f"grid.{key}")), scope="col") for key in columns)
    return node("table", node("thead", node("tr", node("td"), *heads)), node("tbody", *rows), cls="numbers")


def _measures(picture: Picture, options: SelectOptions, place: list[int] | None, words: Words) -> list[Node]:
    base = picture["base"]

    def at(table: Numbers) -> float | None:
        return table[place[0]][place[1]] if place else None

    def label(text: str, key: str) -> Node:
        return explained(text, words.help(f"grid.{key}"))

    deciding = label(metric_title(picture, options, words), "weakened" if _weakens(options) else "probability")
    return [
        _number_row(deciding, base and base["metric"], at(picture["metric"]), "strong"),
        _number_row(label(words("grid.lms"), "lms"), base and base["lms"], at(picture["lms"])),
        _number_row(label(words("grid.kept"), "kept"), 1.0 if base and base["lms"] else None, at(picture["lms_ratio"])),
    ]


def _weakens(options: SelectOptions) -> bool:
    return bool(options.get("goal") == "weaken")


def _number_row(label: Node | str, base: float | None, here: float | None, cls: str = "") -> Node:
    difference = here - base if here is not None and base is not None else None
    return node(
        "tr",
        node("th", label, scope="row"),
        node("td", three_digits(base), cls="base"),
        node("td", three_digits(here), cls="here"),
        node("td", change(difference)),
        cls=cls,
    )


def _cell_note(picture: Picture, place: list[int] | None, options: SelectOptions, words: Words) -> Node:
    """One line, always there, so that nothing moves when a value arrives."""
    if place is None:
        could = picture["selection"] is not None or any(picture.get("can_win") or [True])
        name = {"name": options["target_class"]}
        return node("p", words("grid.no_winner") if could else words("grid.no_row_wins", **name), cls="quiet line")
    text, kind = _cell_state(picture, place, words)
    can_win = picture.get("can_win")
    if can_win and not can_win[place[0]]:
        text += " · " + words(f"grid.cannot_win_{options['goal']}", name=options["target_class"])
    return node("p", text, cls=f"line {kind}".strip())


def _broken_base(picture: Picture, words: Words) -> Node | None:
    """What the base model itself says nearly everywhere."""
    found = picture["base"] and picture["base"]["degenerate"]
    if not found:
        return None
    told = words("grid.broken_base", token=found["token"], share=f"{round(100 * found['share'])} %")
    return node("p", told, cls="line danger", role="status")


def _broken(picture: Picture, place: list[int] | None, words: Words) -> Node | None:
    """What a broken model says nearly everywhere, for the selected cell."""
    return _told_broken(picture["degenerate"][place[0]][place[1]] if place else None, "grid.broken", words)


def _broken_winner(picture: Picture, place: list[int] | None, words: Words) -> Node | None:
    """The same of the winner, where another cell is selected."""
    won = picture["selection"]
    if won is None or place_of(picture, won) == place:
        return None
    return _told_broken(won["degenerate"], "grid.broken_winner", words)


def _told_broken(found: Degenerate | None, begin: str, words: Words) -> Node | None:
    """begin: the key of the sentence in front."""
    if found is None:
        return None
    return node("p", node("strong", words(begin)), " ", why_broken(found, words), cls="line danger")


def _cell_state(picture: Picture, place: list[int], words: Words) -> tuple[str, str]:
    """(sentence, class) of a cell's status and threshold."""
    row, column = place
    status, reason = picture["status"][row][column], picture["reason"][row][column]
    if status == "provisional":
        done, total = picture["rows_done"][row][column], picture["rows_total"]
        said = words("grid.provisional_rows", done=done, total=total) + _errors(picture, row, column, words)
        precision = picture["precisions"][row][column]
        return said if precision == picture["precision"] else f"{said} · {precision}", ""
    if status != "final":
        word = words(f"grid.{status}")
        told = f"{word}: {reason}" if reason else word
        if status == "skipped":
            return f"{told.removesuffix('.')}. {words('grid.skipped_advice')}", "quiet"
        return told, "warn" if status == "failed" else "quiet"
    passes, base = picture["passes"][row][column], picture["base"]
    if passes and base is not None and base["lms"] == 0:
        return words("grid.lms_decides_nothing"), "warn"
    if passes is False:
        return words("grid.below"), "warn"
    return words("grid.passes" if passes else "grid.final_line"), "good"


def _errors(picture: Picture, row: int, column: int, words: Words) -> str:
    """How far a provisional value may still move; nothing where that is not known."""
    metric, lms = (picture[key][row][column] for key in ("metric_error", "lms_error"))
    if metric is None or lms is None:
        return ""
    return " · " + words("grid.provisional_error", metric=three_digits(metric), lms=three_digits(lms))


def _winner(selection: SelectionAnswer | None, options: SelectOptions, partial: bool, words: Words) -> Node | None:
    """partial: some cells were left unfinished, so that nobody knows which one is second or how few tokens decide."""
    if selection is None:
        return node("div", cls="winner")
    won = facts_of(selection, threshold_asked(options))

    def fact(key: str, value: str) -> tuple[Node, str]:
        return explained(words(f"grid.{key}"), words.help(f"grid.{key}")), value

    has_width = won.threshold_tokens is not None
    return node(
        "div",
        node(
            "p",
            verdict(won, options, words),
            cls="why danger" if won.fallback or won.against_goal else "why",
            role="status",
        ),
        facts(
            None if partial else fact("runner_up", _other(won.runner_up, words)),
            None if partial else fact("rejected", _other(won.rejected, words)),
            fact("threshold", _tokens(won, plain(options["ratio"]), partial, words)) if has_width else None,
        ),
        cls="winner",
    )


def _tokens(won: WinnerFacts, cut: str, partial: bool, words: Words) -> str:
    """How many masked tokens the threshold is wide, and how few of them decide the winner."""
    width, deciding = won.threshold_tokens, won.decided_by_tokens
    if deciding is None or partial:
        return words("grid.tokens_wide", ratio=cut, tokens=f"{width:.1f}")
    return f"{words('grid.tokens_here', ratio=cut, tokens=f'{width:.1f}')}; {words.counted('grid.decided', deciding)}"


def _other(cell: OtherCell | None, words: Words) -> str:
    if cell is None:
        return words("grid.none")
    named = {"cell": cell_name(cell.feature_factor, cell.learning_rate), "value": three_digits(cell.value)}
    if cell.lms_ratio is None:
        return words("grid.other_cell_short", **named)
    return words("grid.other_cell", kept=three_digits(cell.lms_ratio), **named)


def _winners(winners: Sequence[Winner], cell: CellPlace | None, words: Words) -> Node | None:
    """The best cell of every class and goal; each can be selected."""
    if not winners:
        return None
    columns = ("winner_cell", "winner_value", "kept")
    heads = (node("th", words(f"grid.{key}"), scope="col") for key in columns)
    title = node("th", explained(words("grid.winners"), words.help("grid.winners")), scope="col")
    rows = [_winner_row(winner, cell, words) for winner in winners]
    table = node("table", node("thead", node("tr", title, *heads)), node("tbody", *rows), cls="numbers")
    return node("div", table, cls="all")


def _winner_row(winner: Winner, cell: CellPlace | None, words: Words) -> Node:
    place = winner["feature_factor"], winner["learning_rate"]
    name = cell_name(*place)
    here = cell is not None and place == (cell["feature_factor"], cell["learning_rate"])
    button = pick(
        json.dumps(place),
        name,
        aria_label=words("grid.winner_pick", cell=name),
        aria_pressed=str(here).lower(),
    )
    badges = [f"grid.{key}_badge" for key, told in _marks(winner) if told]
    mark = f" ({', '.join(map(words, badges))})" if badges else ""
    return node(
        "tr",
        node("th", words(f"grid.winner_{winner['goal']}", name=winner["target_class"]) + mark, scope="row"),
        node("td", button),
        node("td", three_digits(winner["value"])),
        node("td", three_digits(winner["lms_ratio"])),
        cls="danger" if badges else "",
    )


def _marks(winner: Winner) -> tuple[tuple[str, bool], ...]:
    return (
        ("fallback", winner["fallback"]),
        ("broken", winner.get("degenerate") is not None),
        ("opposite", winner.get("against_goal", False)),
    )
