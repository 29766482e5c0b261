"""Why a widget does not take a value that came for it, in the page's language: what came, what it takes instead.

Gradio's widgets tell it by an error that names neither the widget nor, at times, what it takes; where it was raised,
both are there. Knows no session and no function.
"""

from __future__ import annotations

import reprlib
from pathlib import PurePath
from types import TracebackType
from typing import Any

from gradio.components import Component

from gradiend_ui.engine.checked_json import shown
from gradiend_ui.ui.words import Words

MOVES_FILES, MOVES_ONE = "async_move_files_to_cache", "_move_to_cache"
"""Gradio's functions that look for the files among values."""
MOST_TOLD = 120
"""Letters of the list of what a widget takes, and of a list that came."""


def unfit_value(error: BaseException, words: Words) -> str | None:
    """A sentence for an error that a widget raised over its value; None where no widget did."""
    found = _raised_by(error.__traceback__)
    if found is None:
        return None
    widget, value = found
    label = str(getattr(widget, "label", None) or widget.elem_id or widget.get_block_name())
    kinds, choices = getattr(widget, "file_types", None), getattr(widget, "choices", None)
    if kinds:
        return words("page.wrong_kind", name=_file_name(value), kinds=_listed(kinds))
    if choices is not None:
        wrong = _told(_no_choice(value, [choice for _, choice in choices]))
        if not choices:
            return words("page.no_choices", label=label, value=wrong)
        return words("page.no_choice", label=label, value=wrong, choices=_listed(name for name, _ in choices))
    least, most = getattr(widget, "minimum", None), getattr(widget, "maximum", None)
    if least is not None or most is not None:
        limits = {"least": "−∞" if least is None else least, "most": "∞" if most is None else most}
        return words("page.out_of_range", label=label, value=_told(value), **limits)
    return words("page.unfit", label=label, value=_told(value))


def unsent_file(error: BaseException) -> str | None:
    """The name, in quotation marks, of a file that came as a value and is none that was uploaded here; None where the
    error is another one. Whether there is such a file is not told, nor why it cannot be taken."""
    frames, name, is_value = error.__traceback__, "", False
    while frames is not None:
        code, known = frames.tb_frame.f_code, frames.tb_frame.f_locals
        if code.co_name == MOVES_FILES and not known.get("postprocess"):
            is_value = True
        if code.co_name == MOVES_ONE and isinstance(known.get("d"), dict):
            name = PurePath(str(known["d"].get("path")).replace("\\", "/")).name
        frames = frames.tb_next
    return shown(name) if is_value else None


def _raised_by(frames: TracebackType | None) -> tuple[Component, Any] | None:
    """The widget whose reading of a value failed, and the value."""
    found = None
    while frames is not None:
        code, known = frames.tb_frame.f_code, frames.tb_frame.f_locals
        if code.co_name == "preprocess" and isinstance(known.get("self"), Component) and "payload" in known:
            found = known["self"], known["payload"]
        frames = frames.tb_next
    return found


def _no_choice(value: Any, choices: list[Any]) -> Any:
    """Of several values the first that is none of the choices."""
    return next((one for one in value if one not in choices), value) if isinstance(value, list) else value


def _told(value: Any) -> str:
    """As `shown`, and in no language: of lists and objects their beginning."""
    return reprlib.repr(value)[:MOST_TOLD] if isinstance(value, (list, dict)) else shown(value)


def _file_name(value: Any) -> str:
    """The name that a file has for who sent it, in quotation marks."""
    several = getattr(value, "root", value)
    one = several[0] if isinstance(several, list) and several else several
    name = getattr(one, "orig_name", None) or PurePath(str(getattr(one, "path", ""))).name
    return shown(str(name))


def _listed(names: Any) -> str:
    told = ", ".join(str(name) for name in names)
    return told if len(told) <= MOST_TOLD else f"{told[: MOST_TOLD - 1]}…"
