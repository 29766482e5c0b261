"""How a refusal of the engine reaches a person: a sentence on the page, `[code] sentence` through the API.

And the last resort: whatever else a function raises becomes one sentence, so that no internals are told.
"""

from __future__ import annotations

import functools
import html
import inspect
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from gradiend_ui.engine.asking import asked_by
from gradiend_ui.engine.errors import BadData, Failed, GradiendUIError, NotAllowed
from gradiend_ui.engine.seldom import Seldom
from gradiend_ui.ui.unfit_values import unfit_value, unsent_file
from gradiend_ui.ui.visitors import Visitors
from gradiend_ui.ui.words import LANGUAGES, Words

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
    async def process_api(block_fn: Any, *values: Any, **named: Any) -> Any:
        with last_resort(_words_of(block_fn), codes=getattr(block_fn, "api_visibility", "") == "public"):
            return await process(block_fn, *values, **named)

    blocks.process_api = process_api


def guarded(function: Callable[..., Any], visitors: Visitors, words: Words) -> Callable[..., Any]:
    """The same function, of the same kind, whose unexpected errors are logged and told as one sentence."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def follow(*values: Any) -> AsyncIterator[Any]:
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
        def go_on(*values: Any) -> Iterator[Any]:
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
    def call(*values: Any) -> Any:
        with last_resort(words), asked_by(_visitor(visitors)):
            return function(*values)

    return call


def _visitor(visitors: Visitors) -> str:
    """Whose request is being answered; Gradio tells it anew for every step of a generator."""
    return visitors.of(LocalContext.request.get(None))


def _words_of(function: Any) -> Words:
    """The texts of the page that a function belongs to."""
    page = getattr(function, "page", "")
    return Words(page if page in LANGUAGES else LANGUAGES[0])


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
