"""The page's state in its address: the run that is looked at, as `?run=ID`, so that a link or a reload shows it again.

The key that controls a run never stands there for long: assets/page.js takes it from behind the `#` and keeps it.
"""

from __future__ import annotations

import gradio as gr
from gradio.events import Dependency

from gradiend_ui.ui.page.page import Page

RUN = "run"
PUT_RUN_IN_URL = """(run) => {
  const url = new URL(location);
  if (run) url.searchParams.set('run', run); else url.searchParams.delete('run');
  history.replaceState(history.state, '', url);
}"""


def run_in_url(request: gr.Request) -> str:
    """The id of the run that the page was opened with, "" without one; it may be no run at all."""
    return str(request.query_params.get(RUN, ""))


def show_run_in_url(page: Page, event: Dependency) -> Dependency:
    """Keep the run's id in the page's address once `event` has succeeded; gives the next event."""
    return event.success(None, page.run, None, js=PUT_RUN_IN_URL, api_visibility="private")
