"""How a refusal reaches a person: of the engine, of a widget, and whatever else goes wrong.

The engine's is a sentence on the page and `[code] sentence` through the API. A widget's tells, in the page's language,
what came and what it takes instead: Gradio's own error names neither the widget nor, at times, what it takes. As the
last resort, whatever else a function raises becomes one sentence, so that no internals are told. Knows no session.
"""

from __future__ import annotations

import functools
import html
import inspect
import logging
import reprlib
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from types import TracebackType

import gradio as gr
from gradio.blocks import BlockFunction
from gradio.components import Component
from gradio.context import LocalContext

from gradiend_ui.engine.errors import BadData, Failed, GradiendUIError, NotAllowed, shown
from gradiend_ui.engine.files.logs import Seldom
from gradiend_ui.engine.worker.turns import asked_by
from gradiend_ui.server.door.visitors import Visitors
from gradiend_ui.ui.kit.words import FIRST_LANGUAGE, LANGUAGES, Words

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


def _raised_by(frames: TracebackType | None) -> tuple[Component, object] | None:
    """The widget whose reading of a value failed, and the value."""
    found = None
    while frames is not None:
        code, known = frames.tb_frame.f_code, frames.tb_frame.f_locals
        if code.co_name == "preprocess" and isinstance(known.get("self"), Component) and "payload" in known:
            found = known["self"], known["payload"]
        frames = frames.tb_next
    return found


def _no_choice(value: object, choices: Sequence[object]) -> object:
    """Of several values the first that is none of the choices."""
    return next((one for one in value if one not in choices), value) if isinstance(value, list) else value


def _told(value: object) -> str:
    """As `shown`, and in no language: of lists and objects their beginning."""
    return reprlib.repr(value)[:MOST_TOLD] if isinstance(value, (list, dict)) else shown(value)


def _file_name(value: object) -> str:
    """The name that a file has for who sent it, in quotation marks."""
    several = getattr(value, "root", value)
    one = several[0] if isinstance(several, list) and several else several
    name = getattr(one, "orig_name", None) or PurePath(str(getattr(one, "path", ""))).name
    return shown(str(name))


def _listed(names: Iterable[object]) -> str:
    told = ", ".join(str(name) for name in names)
    return told if len(told) <= MOST_TOLD else f"{told[: MOST_TOLD - 1]}…"


log = logging.getLogger(__name__)
LONGEST_TOAST, PLACES = 600, 4
IS_NEWS = Seldom()


@contextmanager
def for_scripts() -> Iterator[None]:
    try:
        yield
    except GradiendUIError as error:
        raise gr.Error(f"[{error.code}] {error}", print_exception=False) from error
    except Exception as error:  # the API's edge: a script gets a code whatever happened, the log gets the rest
        note(error)
        sentence = f"[failed] Something unexpected went wrong ({type(error).__name__})."
        raise gr.Error(sentence, print_exception=False) from error


@contextmanager
def for_people(words: Words) -> Iterator[None]:
    try:
        yield
    except GradiendUIError as error:
        raise refusal(error, words, words("page.not_possible"), duration=12) from error


def refusal(error: GradiendUIError, words: Words, title: str, duration: float = 10) -> gr.Error:
    """The error as a message that stays for `duration` seconds."""
    return gr.Error(toast(words.of(error)), title=title, duration=duration, print_exception=False)


def toast(sentence: str) -> str:
    """A sentence for `gr.Error` and `gr.Warning`, which show theirs as HTML: nothing of it is markup, and it fits."""
    short = sentence if len(sentence) <= LONGEST_TOAST else f"{sentence[: LONGEST_TOAST - 1]}…"
    return html.escape(short, quote=False)


def guard(blocks: gr.Blocks, visitors: Visitors) -> None:
    """Put the last resort around every function of the app, and around what Gradio does with its values before it.

    What a function is called with may come from anywhere, and Gradio's own components break on many shapes of it. What
    a function asks of the worker is asked by the visitor whose request it answers.
    """
    for function in blocks.fns.values():
        if function.fn is not None:
            function.fn = guarded(function.fn, visitors, _words_of(function))
    process = blocks.process_api

    @functools.wraps(process)
    async def process_api(block_fn: BlockFunction, *values: object, **named: object) -> object:
        with last_resort(_words_of(block_fn), codes=getattr(block_fn, "api_visibility", "") == "public"):
            return await process(block_fn, *values, **named)

    blocks.process_api = process_api


def guarded(function: Callable[..., object], visitors: Visitors, words: Words) -> Callable[..., object]:
    """The same function, of the same kind, whose unexpected errors are logged and told as one sentence."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def follow(*values: object) -> AsyncIterator[object]:
            visitor, steps = _visitor(visitors), function(*values)
            try:
                while True:
                    with last_resort(words), asked_by(visitor):
                        try:
                            value = await anext(steps)
                        except StopAsyncIteration:
                            return
                    yield value
            finally:
                await steps.aclose()

        return follow
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def go_on(*values: object) -> Iterator[object]:
            visitor, steps = _visitor(visitors), function(*values)
            try:
                while True:
                    with last_resort(words), asked_by(visitor):
                        try:
                            value = next(steps)
                        except StopIteration:
                            return
                    yield value
            finally:
                steps.close()

        return go_on

    @functools.wraps(function)
    def call(*values: object) -> object:
        with last_resort(words), asked_by(_visitor(visitors)):
            return function(*values)

    return call


def _visitor(visitors: Visitors) -> str:
    """Whose request is being answered; Gradio tells it anew for every step of a generator."""
    return visitors.of(LocalContext.request.get(None))


def _words_of(function: BlockFunction) -> Words:
    """The texts of the page that a function belongs to."""
    page = getattr(function, "page", "")
    return Words(page if page in LANGUAGES else FIRST_LANGUAGE)


@contextmanager
def last_resort(words: Words, *, codes: bool = False) -> Iterator[None]:
    """words: of the page that a function belongs to. codes: whether who called it is a script, which reads a code."""
    try:
        yield
    except gr.Error as error:
        if not error.print_exception:
            raise
        log.debug("a value that does not fit:", exc_info=error)  # Gradio's own, which it would write to the log
        sentence = unfit_value(error, words) or words("page.not_understood")
        raise _last_word(BadData(sentence), words, codes) from error
    except GradiendUIError as error:
        raise _last_word(error, words, codes) from error
    except Exception as error:  # the page's edge: values of a request may have any shape
        name = unsent_file(error)
        if name is None:
            note(error)
            raise _last_word(Failed(words("page.not_understood")), words, codes) from error
        log.debug("a file that did not come here:", exc_info=error)
        told = NotAllowed(f"The file {name} was not uploaded to this server: upload it, and send what that gave.")
        raise _last_word(told.known_as("page.no_such_file", name=name), words, codes) from error


def _last_word(error: GradiendUIError, words: Words, codes: bool) -> gr.Error:
    if codes:
        return gr.Error(f"[{error.code}] {error}", print_exception=False)
    return refusal(error, words, words("page.not_possible"))


def note(error: Exception) -> None:
    """One line for the log, with the place, and seldom the same; all of it where the log asks for details."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-PLACES:]))
    line = f"a function failed: {type(error).__name__} at {places or '?'}"
    log.log(logging.WARNING if IS_NEWS(line) else logging.DEBUG, "%s", line)
    log.debug("in full:", exc_info=error)
