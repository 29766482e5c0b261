"""How a refusal of the engine reaches a person: a sentence on the page, `[code] sentence` through the API."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.ui.words import Words

log = logging.getLogger(__name__)


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
        raise gr.Error(str(error), title=words("page.not_possible"), duration=12, print_exception=False) from error
