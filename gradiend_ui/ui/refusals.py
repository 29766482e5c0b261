"""How a refusal of the engine reaches a person: a sentence on the page, `[code] sentence` through the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from gradiend_ui.engine.errors import GradiendUIError


@contextmanager
def for_scripts() -> Iterator[None]:
    try:
        yield
    except GradiendUIError as error:
        raise gr.Error(f"[{error.code}] {error}", print_exception=False) from error


@contextmanager
def for_people() -> Iterator[None]:
    try:
        yield
    except GradiendUIError as error:
        raise gr.Error(str(error), title="Not possible", duration=12, print_exception=False) from error
