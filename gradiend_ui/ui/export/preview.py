"""A model card as a tree: the Markdown that `engine.card` writes, and no other, as headings, tables, code and text.

Its text is the card's own, as text nodes; nothing in it becomes markup. Knows no session and no widget.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradiend_ui.ui.tree import Node, node

INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")
FENCE, RULE = "```", "---"


def build_card(markdown: str) -> Node:
    """The card, block by block."""
    return node("div", *map(_build_block, blocks_of(markdown)), cls="card-text")


def blocks_of(markdown: str) -> Iterator[list[str]]:
    """The card's lines in blocks: front matter, a heading, a table, a fenced code, a paragraph."""
    lines = markdown.splitlines()
    place = 0
    while place < len(lines):
        if not lines[place].strip():
            place += 1
            continue
        end = _end_of_block(lines, place)
        yield lines[place:end]
        place = end


def _end_of_block(lines: list[str], start: int) -> int:
    first = lines[start]
    closing = FENCE if first.startswith(FENCE) else RULE if first == RULE else None
    if closing is not None:
        return lines.index(closing, start + 1) + 1
    if first.startswith("#"):
        return start + 1
    is_table = first.startswith("|")
    end = start
    while end < len(lines) and lines[end].strip() and lines[end].startswith("|") == is_table:
        end += 1
    return end


def _build_block(lines: list[str]) -> Node:
    first = lines[0]
    if first.startswith(FENCE) or first == RULE:
        kind = "front" if first == RULE else "code"
        return node("pre", node("code", "\n".join(lines[1:-1])), cls=kind)
    if first.startswith("#"):
        return node("h3", first.lstrip("# "), cls="card-title" if first.startswith("# ") else "")
    if first.startswith("|"):
        return _build_table([[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines])
    return node("p", *inline(" ".join(lines)))


def _build_table(rows: list[list[str]]) -> Node:
    """The first cell of a line names it; a head without any text is left out."""
    head, body = rows[0], rows[2:]
    lines = [
        node(
            "tr", node("th", *inline(row[0]), scope="row"), *(node("td", *inline(cell), cls="num") for cell in row[1:])
        )
        for row in body
    ]
    if not any(head):
        return node("table", node("tbody", *lines), cls="card-facts")
    names = node("tr", *(node("th", name, scope="col") for name in head))
    return node("table", node("thead", names), node("tbody", *lines), cls="card-facts numbers")


def inline(text: str) -> list[Node | str]:
    """`code` and **bold** as nodes, the rest as text."""
    parts: list[Node | str] = []
    place = 0
    for found in INLINE.finditer(text):
        if found.start() > place:
            parts.append(text[place : found.start()])
        parts.append(node("code", found[1]) if found[1] is not None else node("strong", found[2]))
        place = found.end()
    return [*parts, text[place:]] if place < len(text) else parts
