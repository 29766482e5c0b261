"""How a refusal of the engine reaches a person: a sentence on the page, `[code] sentence` through the API.

And the last resort: whatever else a function raises becomes one sentence, so that no internals are told.
"""

from __future__ import annotations

import functools
import html
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from gradiend_ui.engine.asking import asked_by
from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.ui.visitors import Visitors
from gradiend_ui.ui.words import Words

log = logging.getLogger(__name__)
LONGEST_TOAST = 600
NOT_UNDERSTOOD = "The server could not do that with what it was sent: reload the page and try again."


@contextmanager
def for_scripts() -> Iterator[None]:
    try:
        yield
    except GradiendUIError as error:
        raise gr.Error(f"[{error.code}] {error}", print_exception=False) from error
    except Exception as error:  # the API's edge: a script gets a code whatever happened, the log gets the rest
        log.exception("a public function failed")
        raise gr.Error(f"[failed] Something unexpected went wrong ({type(error).__name__}).") from error


@contextmanager
def for_people(words: Words) -> Iterator[None]:
    try:
        yield
    except GradiendUIError as error:
        raise refusal(error, words("page.not_possible"), duration=12) from error


def refusal(error: GradiendUIError, title: str, duration: float = 10) -> gr.Error:
    """The error as a message that stays for `duration` seconds."""
    return gr.Error(toast(str(error)), title=title, duration=duration, print_exception=False)


def toast(sentence: str) -> str:
    """A sentence for `gr.Error` and `gr.Warning`, which show theirs as HTML: nothing of it is markup, and it fits."""
    short = sentence if len(sentence) <= LONGEST_TOAST else f"{sentence[: LONGEST_TOAST - 1]}…"
    return html.escape(short, quote=False)


def guard(blocks: gr.Blocks, visitors: Visitors) -> None:
    """Put the last resort around every function of the app; what it is called with may come from anywhere.

    What a function asks of the worker is asked by the visitor whose request it answers.
    """
    for function in blocks.fns.values():
        if function.fn is not None:
            function.fn = guarded(function.fn, visitors)


def guarded(function: Callable[..., Any], visitors: Visitors) -> Callable[..., Any]:
    """The same function, of the same kind, whose unexpected errors are logged and told as one sentence."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def follow(*values: Any) -> AsyncIterator[Any]:
            visitor, steps = _visitor(visitors), function(*values)
            try:
                while True:
                    with last_resort(), asked_by(visitor):
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
                    with last_resort(), asked_by(visitor):
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
        with last_resort(), asked_by(_visitor(visitors)):
            return function(*values)

    return call


def _visitor(visitors: Visitors) -> str:
    """Whose request is being answered; Gradio tells it anew for every step of a generator."""
    return visitors.of(LocalContext.request.get(None))


@contextmanager
def last_resort() -> Iterator[None]:
    try:
        yield
    except gr.Error:
        raise
    except GradiendUIError as error:
        raise gr.Error(toast(str(error)), print_exception=False) from error
    except Exception as error:  # the page's edge: values of a request may have any shape
        log.warning("a function of the page failed: %s", type(error).__name__, exc_info=True)
        raise gr.Error(NOT_UNDERSTOOD, print_exception=False) from error
