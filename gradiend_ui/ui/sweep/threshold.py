"""A slider that takes a typed number as its box then shows it: the nearest one in its range.

Gradio's own refuses a number out of range, and says nothing when the browser snaps it into the range afterwards: the
page would show a threshold that nothing was computed with.
"""

from __future__ import annotations

import gradio as gr

from gradiend_ui.ui.sweep.form import LOWEST_RATIO, RATIO


class Threshold(gr.Slider):
    """The share of the base's LMS that must stay, in [`LOWEST_RATIO`, 1]."""

    is_template = True  # drawn as Gradio's slider

    def preprocess(self, payload: float | None) -> float:
        return snapped(payload)


def snapped(ratio: float | None) -> float:
    return RATIO if ratio is None else min(max(float(ratio), LOWEST_RATIO), 1.0)
