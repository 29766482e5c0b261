"""The words of the classes as chips: what each one resolves to, and what a reader should know about it.

Values in, trees out. Knows no widget and no session.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gradiend_ui.engine.answers.data import (
    ClassWords,
    TargetsReport,
    WordAnswer,
    WordWay,
)
from gradiend_ui.ui.kit.tree import Node, explained, node, pick
from gradiend_ui.ui.kit.words import Words

MOST_WAYS = 6
REMOVE = "remove"


def build_words(report: TargetsReport, words: Words) -> Node:
    """The words of each class as chips with a button to take one away."""
    mode = {"label": "row_wise_on", "own": "words_edited", "rows": "words_from_rows"}[report["mode"]]
    if report["row_wise"] and report["mode"] != "label":
        mode = "row_wise_forced"
    groups = [build_class(entry, report["row_wise"], words) for entry in report["classes"]]
    return node("div", node("p", words(f"data.{mode}"), cls="quiet", role="status"), *groups, cls="targets")


def build_class(entry: ClassWords, row_wise: bool, words: Words) -> Node:
    name = str(entry["name"])
    chips = [node("li", build_chip(name, word, row_wise, words)) for word in entry["words"]]
    if entry["more"] > 0:
        chips.append(node("li", words("data.and_more", count=entry["more"]), cls="quiet"))
    return node(
        "div",
        node("strong", name, cls="class-name"),
        node("ul", *chips, cls="chips", aria_label=words("data.chips_of", name=name)),
    )


def build_chip(name: str, word: WordAnswer, row_wise: bool, words: Words) -> Node:
    """One word: what it resolves to on hover and below it, what is special about it with a sign and in words."""
    marks = [node("span", f"▲ {text}", cls="mark") for text in marks_of(word, words)]
    shown = _ways(word["ways"], words)
    if word["natural"]:
        shown.append(words("data.natural_ids", ids=" · ".join(_ways(word["natural"], words))))
    others = [spelling for spelling in word["spellings"] if spelling != word["word"]]
    if others:
        shown.append(words("data.also_spelled", spellings=", ".join(others)))
    tip = word["problem"] or " · ".join(shown)
    remove = words("data.remove", word=word["word"], name=name)
    value = json.dumps([REMOVE, name, word["spellings"]])
    return node(
        "span",
        explained(word["word"], tip, cls="chip-word"),
        node("small", resolved(word, words), cls="num"),
        *marks,
        pick(value, "×", cls="chip-remove", aria_label=remove, title=remove),
        cls="target-chip danger" if word["problem"] else "target-chip",
    )


def _ways(ways: Sequence[WordWay], words: Words) -> list[str]:
    """Each way to write a word: its vocabulary entries and their ids."""
    told = [words("data.way", pieces=" + ".join(way["pieces"]), ids=", ".join(map(str, way["ids"]))) for way in ways]
    more = len(told) - MOST_WAYS
    return told[:MOST_WAYS] + ([words("data.and_more", count=more)] if more > 0 else [])


def resolved(word: WordAnswer, words: Words) -> str:
    """What a word resolves to: vocabulary entries, where they say more than the word itself does, else ids."""
    ways = word["ways"][:MOST_WAYS]
    entries = [" + ".join(way["pieces"]) for way in ways]
    if set(entries) <= {word["word"]}:
        entries = [" ".join(map(str, way["ids"])) for way in ways]
    told = ", ".join(entries) or "–"
    if word["natural"]:
        natural = ", ".join(" + ".join(way["pieces"]) for way in word["natural"][:MOST_WAYS])
        told += f" · {words('data.natural_entries', entries=natural)}"
    return told


def marks_of(word: WordAnswer, words: Words) -> list[str]:
    """What a reader should know about a word, in a few words each."""
    marks = []
    if word["problem"]:
        marks.append(words("data.no_token"))
    elif word["unknown"]:
        marks.append(words("data.unknown_word"))
    elif word["several_pieces"]:
        pieces = words("data.several_pieces", count=min(len(way["ids"]) for way in word["ways"]))
        marks.append(f"{pieces}, {words('data.first_piece')}" if word["first_piece_only"] else pieces)
    if word["shared"]:
        marks.append(words("data.shared_word", classes=", ".join(word["shared"])))
    return marks
