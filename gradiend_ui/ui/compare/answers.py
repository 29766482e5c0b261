"""Sentences to begin with, and what the base and the columns answer, as trees: classes, tokens, continuations.

The sentences are the health card's own examples, and a few about nothing in particular, as a model of each kind reads
them: with `[MASK]`, or as the beginning of a text. One rewritten model is shown beside the base with a common bar,
several have a column each; the base is grey. Knows answers of the engine; no model, no session, no widget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.model import CompareAnswer, ComparedMask, ComparedText, Continuations, Said
from gradiend_ui.engine.base.objectives import objective_named
from gradiend_ui.engine.data.rows import MASK
from gradiend_ui.figures.numbers import change, probability
from gradiend_ui.ui.compare.columns import Column
from gradiend_ui.ui.kit.tree import Node, explained, node
from gradiend_ui.ui.kit.words import Words

FIRST_EXAMPLES = 3
FROM_DATA, SEVERAL_MASKS, ENGLISH, GERMAN = "data", "several", "english", "german"
CONTINUED_TOKENS = 12
UNRELATED: Mapping[str, tuple[str, ...]] = {
    ENGLISH: (
        "The capital of France is [MASK].",
        "They put the fresh bread on the [MASK].",
        "In winter the lake is covered with [MASK].",
        "Two and two make [MASK].",
    ),
    GERMAN: (
        "Die Hauptstadt von Frankreich ist [MASK].",
        "Das frische Brot liegt auf dem [MASK].",
        "Im Winter liegt auf dem See viel [MASK].",
        "Zwei und zwei sind [MASK].",
    ),
}
"""About nothing that a GRADIEND was trained on: what changes here is damage."""


def choices_of(objective: str | None, words: Words) -> list[tuple[str, str]]:
    """(label, name) of the sets that fit the objective; None while there is no model."""
    names = [FROM_DATA, SEVERAL_MASKS, ENGLISH, GERMAN]
    if objective is not None and objective_named(objective).one_gap:
        names.remove(SEVERAL_MASKS)
    return [(words(f"compare.examples_{name}"), name) for name in names]


def example_text(name: str, card: Card) -> str:
    """The sentences of a set, one per line, in the form that the card's model reads."""
    own = [" ".join(str(text).split()) for text in card["examples"]]
    if name == SEVERAL_MASKS:
        sentences = [" ".join(own[place : place + 2]) for place in range(0, len(own) - 1, 2)]
    else:
        sentences = list(UNRELATED[name]) if name in UNRELATED else own
    return "\n".join(fitting(sentences, card["objective"]))


def first_sentences(card: Card) -> str:
    return "\n".join(fitting([str(text) for text in card["examples"]], card["objective"])[:FIRST_EXAMPLES])


def fitting(sentences: Sequence[str], objective: str) -> list[str]:
    """The same sentences; for next-token models only what stands left of the mask, where something does."""
    if not objective_named(objective).left_only:
        return list(sentences)
    return [left for text in sentences if (left := text.partition(MASK)[0].rstrip())]


def continued_tokens(objective: str) -> int:
    """How many tokens a model of this objective is asked to go on for; 0 for masked models."""
    return CONTINUED_TOKENS if objective_named(objective).continues else 0


SHOWN = 5


def build_note(sentence: str, danger: bool = False) -> Node:
    return node("div", node("p", sentence, cls="danger" if danger else "quiet", role="status"), cls="answers")


def build_answers(
    answer: CompareAnswer,
    columns: Sequence[Column],
    words: Words,
    *,
    selected: str,
    tabs: str,
    notes: Sequence[str] = (),
) -> Node:
    """selected: name of the selected cell. tabs: the same numbers as text to copy. notes: sentences above."""
    shown = [_sentence(item, columns, words, first=place == 0) for place, item in enumerate(answer["texts"])]
    names = ", ".join((words("compare.base"), *(column.name for column in columns)))
    label = words("compare.region", names=names)
    return node(
        "div",
        node("p", label, cls="spoken", role="status"),
        *(node("p", text, cls="warn") for text in notes),
        node("div", *shown, cls="sentences"),
        cls=f"answers columns-{len(columns)}",
        data_cell=selected,
        data_tabs=tabs,
        role="region",
        tabindex="0",
        aria_label=label,
    )


def _sentence(item: ComparedText, columns: Sequence[Column], words: Words, first: bool) -> Node:
    if item.get("error"):
        reason = node("p", node("strong", words("compare.not_answered")), " ", item["error"], cls="danger problem")
        return node("div", _text(item["text"], 0), reason, cls="sentence")
    masks = item["masks"]
    numbers = [words("compare.mask_of", number=n, count=len(masks)) for n in range(1, len(masks) + 1)]
    titles = numbers if len(masks) > 1 else [None]
    parts: list[Node | None] = [_text(item["text"], len(masks))]
    if item.get("continuation"):
        parts.append(_continuations(item["continuation"], columns, words))
    for place, (title, mask) in enumerate(zip(titles, masks, strict=True)):
        parts.append(_mask(mask, columns, words, title, first=first and place == 0))
    return node("div", *parts, cls="sentence")


def _text(text: str, masks: int) -> Node:
    """The sentence with its masks marked, numbered where there are several; a beginning ends in a mark."""
    parts: list[Node | str] = []
    for count, piece in enumerate(text.split(MASK)):
        if count:
            parts.append(node("mark", MASK, node("small", str(count)) if masks > 1 else None))
        parts.append(piece)
    if masks and MASK not in text:
        parts.append(node("mark", "…"))
    return node("p", *parts, cls="text", title=text)


def _mask(mask: ComparedMask, columns: Sequence[Column], words: Words, title: str | None, first: bool) -> Node:
    heading = node("p", title, cls="mask-number") if title else None
    if len(columns) <= 1:
        return node("div", heading, _class_changes(mask, words, first), _one(mask, words, title, first), cls="mask")
    return node("div", heading, _many(mask, columns, words, title, first), cls="mask")


# --- the base alone, or beside one rewritten model -------------------------------------------------------------------


def _class_changes(mask: ComparedMask, words: Words, first: bool) -> Node:
    here = [cell["classes"] for cell in mask["cells"]]
    parts: list[Node] = []
    for name, before in mask["base"]["classes"].items():
        label = _head(f"P({name})", words.help("compare.class"), first)
        after = [node("strong", probability(classes.get(name)), cls="here") for classes in here]
        arrow = " → " if after else None
        parts.append(node("span", label, " ", node("span", probability(before), cls="base"), arrow, *after))
    return node("p", *parts, cls="classes")


def _one(mask: ComparedMask, words: Words, title: str | None, first: bool) -> Node:
    def head(key: str, cls: str = "") -> Node:
        return node("th", _head(words(f"compare.{key}"), words.help(f"compare.{key}"), first), scope="col", cls=cls)

    bars = node("th", node("span", words("compare.bars"), cls="spoken"), scope="col", cls="bars")
    rewritten = [head("here"), head("change", "change")] if mask["cells"] else []
    rows = [_one_row(row["token"], row["base"], row["cells"]) for row in mask["tokens"][:SHOWN]]
    return node(
        "table",
        node("thead", node("tr", head("token"), bars, head("base"), *rewritten)),
        node("tbody", *rows),
        cls="tokens one",
        aria_label=title or words("compare.tokens"),
    )


def _one_row(token: str, before: float | None, here: Sequence[float | None]) -> Node:
    cells = [
        node("td", _bar("base", before), *(_bar("here", value) for value in here), cls="bars"),
        node("td", probability(before), cls="base"),
    ]
    for value in here:
        cells.append(node("td", probability(value), cls="here"))
        cells.append(node("td", change(_difference(value, before)), cls="change"))
    return node("tr", node("th", token, scope="row", title=token), *cells)


# --- several rewritten models ----------------------------------------------------------------------------------------


def _many(mask: ComparedMask, columns: Sequence[Column], words: Words, title: str | None, first: bool) -> Node:
    heads = [
        node("th", _head(words("compare.token"), words.help("compare.token"), first), scope="col"),
        node("th", _head(words("compare.base"), words.help("compare.base"), first), scope="col"),
    ]
    for column in columns:
        shown = _head(column.letter or words("compare.here"), words("compare.column_tip", cell=column.name), first)
        heads.append(node("th", shown, scope="col", cls=column.style))
    classes = [
        _many_row(f"P({name})", before, [cell["classes"].get(name) for cell in mask["cells"]], columns, "class")
        for name, before in mask["base"]["classes"].items()
    ]
    tokens = [_many_row(row["token"], row["base"], row["cells"], columns, "") for row in mask["tokens"][:SHOWN]]
    return node(
        "table",
        node("thead", node("tr", *heads)),
        node("tbody", *classes, cls="of-classes") if classes else None,
        node("tbody", *tokens),
        cls="tokens many",
        aria_label=title or words("compare.tokens"),
    )


def _many_row(
    name: str, before: float | None, here: Sequence[float | None], columns: Sequence[Column], cls: str
) -> Node:
    base = node("span", node("span", probability(before), cls="p"), cls="numbers-of")
    cells = [node("td", base, _bar("base", before), cls="base")]
    for column, value in zip(columns, here, strict=True):
        numbers = (
            node("span", probability(value), cls="p"),
            node("span", change(_difference(value, before)), cls="change"),
        )
        cells.append(node("td", node("span", *numbers, cls="numbers-of"), _bar(column.style, value)))
    return node("tr", node("th", name, scope="row", title=name), *cells, cls=cls)


def _head(label: str, tip: str, first: bool) -> Node:
    """A label with help on hover; the first one of its kind is a tab stop too, its repetitions are not."""
    return explained(label, tip) if first else node("span", label, data_tip=tip)


def _bar(kind: str, share: float | None) -> Node:
    return node("span", cls=f"pbar {kind}", style=f"--p: {min(max(share or 0.0, 0.0), 1.0):.4f}", aria_hidden="true")


def _difference(here: float | None, before: float | None) -> float | None:
    return None if here is None or before is None else here - before


# --- continuations ---------------------------------------------------------------------------------------------------


def _continuations(said: Continuations, columns: Sequence[Column], words: Words) -> Node:
    rows = [_said(words("compare.base"), "base", said["base"], words)]
    for column, cell in zip(columns, said["cells"], strict=True):
        rows.append(_said(column.letter or words("compare.here"), column.style, cell, words))
    title = explained(words("compare.goes_on"), words.help("compare.goes_on"))
    return node("div", node("p", title, cls="mask-number"), node("dl", *rows, cls="goes-on"), cls="continuation")


def _said(name: str, style: str, one: Said, words: Words) -> Node:
    """Tokens that differ from the base's are inserted text: underlined and bold, not coloured alone."""
    parts: list[Node | str] = []
    for changed, tokens in groupby(one["tokens"], key=lambda token: bool(token["changed"])):
        text = "".join(str(token["text"]) for token in tokens)
        parts.append(node("ins", text) if changed else text)
    if not one["text"].strip():
        parts = [node("span", words("compare.says_nothing"), cls="quiet")]
    if one["ended"]:
        parts.append(node("span", f" {words('compare.ended')}", cls="quiet"))
    if one.get("reason"):
        parts.append(node("span", f" {one['reason']}", cls="danger"))
    return node("div", node("dt", name, cls=f"key {style}"), node("dd", *parts))
