"""Text on the page as a tree of plain values, painted by tree.js as text nodes: the one place where text meets the DOM.

`node()` makes a tree, `Tree` shows one. No string is ever read as markup. Knows nothing of what the text says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict, TypeVar, cast

import gradio as gr

Attribute = str | int | float
Value = TypeVar("Value")
TREE_JS = Path(__file__).with_name("tree.js")


class Node(TypedDict):
    """One element as tree.js paints it. order: see `ordered`."""

    tag: str
    attributes: dict[str, Attribute]
    children: list[Node | str]
    order: NotRequired[list[float]]


def as_json(value: Mapping[str, object] | None) -> str | None:
    """A component's value as one string: nested ones are cloned and proxied by the frontend on every update."""
    return None if value is None else json.dumps(value, separators=(",", ":"), allow_nan=False)


def ordered(order: Sequence[float], value: Value) -> Value:
    """A value for a component whose script shows nothing older than what it shows: answers come by several ways (the
    queue, requests of their own) and overtake each other. An update of a component stays as it is.

    order: of two answers to one component the one with the larger order is the newer; the first number that differs
    decides. One without an order is always shown.
    """
    if not isinstance(value, dict) or "__type__" in value:
        return value
    return cast(Value, {**value, "order": [*order]})


class Tree(gr.HTML):
    """A component whose value is one `node()`; an update patches the page in place.

    `select` events come from its `pick()` buttons; `event.value` is the button's text value.
    """

    def __init__(self, value: Node | None = None, **keywords: object) -> None:
        super().__init__(
            value=value,
            html_template='<div class="tree"></div>',
            js_on_load=TREE_JS.read_text(encoding="utf-8") + "\nmountTree(element, props, trigger, watch);",
            apply_default_css=False,
            **keywords,
        )

    def postprocess(self, value: Node | None) -> str | None:
        return as_json(value)

    def api_info(self) -> dict[str, str]:
        return {"type": "string", "description": "{tag, attributes, children} as JSON"}


def node(tag: str, *children: Node | str | None, cls: str = "", **attributes: Attribute | None) -> Node:
    """One element: strings are text, None is left out; `aria_label="x"` becomes `aria-label`."""
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    if cls:
        named["class"] = cls
    return {"tag": tag, "attributes": named, "children": [child for child in children if child is not None]}


def pick(value: str, *children: Node | str | None, cls: str = "", **attributes: Attribute | None) -> Node:
    """A button inside a tree: a press is the tree's `select` event with `value`."""
    return node("button", *children, cls=f"pick {cls}".strip(), type="button", data_pick=value, **attributes)


def facts(*pairs: tuple[Node | str, Node | str] | None, cls: str = "facts") -> Node:
    """A list of name and value; None pairs are left out."""
    rows = [node("div", node("dt", pair[0]), node("dd", pair[1])) for pair in pairs if pair is not None]
    return node("dl", *rows, cls=cls)


def text_of(tree: Node | str) -> str:
    """All text of a tree, for tests and spoken summaries."""
    if isinstance(tree, str):
        return tree
    return " ".join(filter(None, (text_of(child) for child in tree["children"])))


def explained(label: Node | str, tip: str, cls: str = "") -> Node:
    """A label whose meaning, range and direction are one hover, touch or tab stop away."""
    return node("span", label, cls=f"explained {cls}".strip(), tabindex="0", data_tip=tip, aria_description=tip)
