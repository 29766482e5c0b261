"""Listeners of the data panel and its drawer."""

from __future__ import annotations

from gradiend_ui.ui.data import panel as data
from gradiend_ui.ui.following import AT_ONCE
from gradiend_ui.ui.page import Page


def wire_data(page: Page) -> None:
    page.data.neutral_set.input(data.data_of, page.data.neutral_set, page.data.chosen, **AT_ONCE)
