"""The list of earlier sweeps as a tree: one item per run, with its buttons. Knows no session and starts nothing.

A button's value is "<action>:<run>", see `ui.listeners.runs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gradiend_ui.engine.answers.run import MadeBy, RunEntry, RunWinner, SelectionAnswer
from gradiend_ui.engine.values import ACTIVE_STATES, lms_ratio
from gradiend_ui.figures.numbers import cell_name, three_digits
from gradiend_ui.ui.kit.tree import Node, explained, facts, node, pick
from gradiend_ui.ui.kit.words import Words


@dataclass(frozen=True)
class Marks:
    """What is marked in the list: the run on the page, the one asked about, the ones side by side."""

    current: str = ""
    asked: str = ""
    pair: tuple[str, ...] = ()


def build_list(entries: Sequence[RunEntry], count: int, marks: Marks, words: Words, own: bool = False) -> Node:
    """All entries, and a button for older ones where `count` says that there are more.

    own: these are the sweeps whose keys the browser keeps, not all of the server's.
    """
    if not entries:
        kind = "own" if own else "none"
        return node(
            "div", node("p", words(f"runs.{kind}")), node("p", words(f"runs.{kind}_hint"), cls="quiet"), cls="empty"
        )
    items = [_build_entry(entry, marks, words) for entry in entries]
    more = pick("more:", words("runs.more", count=count - len(entries))) if count > len(entries) else None
    hint = node("p", words("runs.own_listed"), cls="quiet own-listed") if own else None
    return node("div", hint, node("ul", *items, cls="runs-list"), more)


def build_loading(words: Words) -> Node:
    return node("p", words("runs.loading"), cls="quiet")


def build_nothing() -> Node:
    return node("div")


def build_status(sentence: str, kind: str = "quiet") -> Node:
    return node("p", sentence, cls=f"runs-status {kind}", role="status")


def title_of(entry: RunEntry) -> str:
    """The person's name for the run, else its model's."""
    return str(entry["name"] or entry["checkpoint"])


def moment(created: float) -> str:
    """`2026-01-31 09:05`, in the server's time."""
    return datetime.fromtimestamp(created).strftime("%Y-%m-%d %H:%M")


def size(count: float) -> str:
    """Bytes in the unit that suits them."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{three_digits(count / limit)} {unit}"
    return f"{count:g} B"


def _build_entry(entry: RunEntry, marks: Marks, words: Words) -> Node:
    is_current = entry["run"] == marks.current
    state = node("span", words(f"page.state_{entry['state']}"), cls=f"runs-state is-{entry['state']}")
    done = explained(f"{entry['done']}/{entry['total']}", words.help("runs.cells"), cls="num")
    head = node(
        "div",
        node("strong", title_of(entry)),
        state,
        done,
        node("span", moment(entry["created"]), cls="num quiet"),
        node("span", words("runs.current"), cls="here") if is_current else None,
        cls="runs-head",
    )
    about = node(
        "div",
        head,
        node("p", _settings(entry, words), cls="quiet"),
        _build_winner(entry, words),
        node("p", str(entry["note"]), cls="note") if entry["note"] else None,
        node("p", words("runs.earlier_scorer"), cls="warn") if entry["earlier_scorer"] else None,
        _build_made(entry.get("made_by"), words),
        cls="runs-about",
    )
    return node(
        "li", about, _build_buttons(entry, marks, words), cls="runs-entry current" if is_current else "runs-entry"
    )


def _settings(entry: RunEntry, words: Words) -> str:
    """One line: model, classes, goal, neutral set, and what is not as usual."""
    settings = entry["settings"]
    neutral = (
        words("runs.neutral", name=settings["neutral_set"]) if settings["neutral_set"] else words("runs.no_neutral")
    )
    parts = [
        *([str(entry["checkpoint"])] if entry["name"] else []),
        " / ".join(map(str, entry["classes"])),
        words(f"runs.goal_{settings['goal']}"),
        *([words("runs.part", part=settings["part"])] if settings["part"] != "decoder" else []),
        neutral,
        *([words("runs.file", file=settings["file"])] if settings["file"] else []),
    ]
    return " · ".join(parts)


def _build_winner(entry: RunEntry, words: Words) -> Node:
    winner = entry["winner"]
    disk = explained(size(entry["bytes"]), words.help("runs.size"), cls="num")
    if winner is None:
        return node("p", node("span", words("runs.no_winner")), disk, cls="runs-winner quiet")
    what = words("runs.fallback" if winner["fallback"] else "runs.winner", name=winner["target_class"])
    return node(
        "p",
        node("span", what, cls="danger" if winner["fallback"] else ""),
        node("strong", cell_name(winner["feature_factor"], winner["learning_rate"]), cls="num"),
        explained(f"P {three_digits(winner['probability'])}", words.help("runs.probability"), cls="num"),
        node("span", words("runs.base", value=three_digits(winner["base_probability"])), cls="num quiet"),
        explained(f"LMS {kept(winner)}", words.help("runs.kept"), cls="num"),
        disk,
        cls="runs-winner",
    )


def _build_made(made: MadeBy | None, words: Words) -> Node | None:
    """How the run's numbers were made, closed at first; nothing for a run that noted none."""
    if not made:
        return None
    blocks, hashes = made["blocks"], made["sha256"]
    programs = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    arithmetic = words("runs.made_in", precision=made["precision"], dtype=made["weights_dtype"])
    cut = words("runs.made_cut", rows=blocks["rows"], texts=blocks["texts"], most=blocks["most_rows"])
    return node(
        "details",
        node("summary", words("runs.made")),
        facts(
            (words("runs.made_programs"), f"{programs}, {words('runs.made_scorer', number=made['scorer'])}"),
            (words("runs.made_arithmetic"), arithmetic),
            (words("runs.made_device"), words("runs.made_threads", device=made["device"], count=made["threads"])),
            (words("runs.made_blocks"), cut),
            *((words(f"runs.made_{name}"), node("code", str(digest))) for name, digest in hashes.items()),
        ),
        cls="runs-made",
    )


def kept(winner: RunWinner | SelectionAnswer) -> str:
    """LMS relative to the base, three digits."""
    return three_digits(lms_ratio(winner["lms"], winner["base_lms"]))


def _build_buttons(entry: RunEntry, marks: Marks, words: Words) -> Node:
    """The safe answer takes the place of "Delete", so that a second press there deletes nothing."""
    run, title = entry["run"], title_of(entry)

    def button(action: str, **attributes: str) -> Node:
        label = words(f"runs.{action}")
        return pick(f"{action}:{run}", label, aria_label=f"{label}: {title}, {moment(entry['created'])}", **attributes)

    if marks.asked == run:
        going = entry["state"] in ACTIVE_STATES
        question = node("span", words("runs.ask_going" if going else "runs.ask"), cls="danger", role="alert")
        return node(
            "div", question, button("sure", cls="danger"), node("span"), button("keep"), cls="runs-buttons sure"
        )
    return node(
        "div",
        button("open"),
        button("pair", aria_pressed="true" if run in marks.pair else "false"),
        button("edit"),
        button("delete"),
        cls="runs-buttons",
    )
