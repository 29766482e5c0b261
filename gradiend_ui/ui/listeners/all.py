"""Which widget calls which function, as a table of contents: each step wires its own listeners, all private.

`ui/api` has the public functions.
"""

from __future__ import annotations

import gradio as gr

from gradiend_ui.ui.kit.drawer import opens
from gradiend_ui.ui.kit.words import address_of, next_language
from gradiend_ui.ui.listeners.compare import wire_compare
from gradiend_ui.ui.listeners.data import wire_data
from gradiend_ui.ui.listeners.export import wire_export
from gradiend_ui.ui.listeners.grid import wire_grid
from gradiend_ui.ui.listeners.load import wire_load
from gradiend_ui.ui.listeners.runs import wire_runs
from gradiend_ui.ui.listeners.sweep import wire_ends, wire_sweep
from gradiend_ui.ui.page.page import Page

TOGGLE_THEME = """() => {
  const dark = document.body.classList.toggle('dark');
  try { localStorage.setItem('gradiend-theme', dark ? 'dark' : 'light'); } catch (error) { /* private window */ }
}"""
OTHER_LANGUAGE = "() => location.assign(`./{place}${{location.search}}${{globalThis.gradiendPage.passing()}}`)"
SAY_LANGUAGE = "() => {{ document.documentElement.lang = '{language}'; }}"
RESTORE_THEME = """() => {
  let stored = null;
  try { stored = localStorage.getItem('gradiend-theme'); } catch (error) { /* private window */ }
  const asked = new URL(location).searchParams.get('__theme');
  if (stored && !asked) document.body.classList.toggle('dark', stored === 'dark');
}"""


def wire(page: Page, blocks: gr.Blocks) -> None:
    wire_load(page, blocks)
    wire_data(page)
    wire_sweep(page)
    wire_grid(page)
    wire_compare(page)
    wire_runs(page)
    wire_ends(page)  # these two last: estimate and card follow the ends of all runs
    wire_export(page)
    page.header.theme.click(None, js=TOGGLE_THEME, api_visibility="private")
    elsewhere = OTHER_LANGUAGE.format(place=address_of(next_language(page.words.language)))
    page.header.language.click(None, js=elsewhere, api_visibility="private")
    opens(page.header.sweeps, "runs")
    blocks.load(None, js=SAY_LANGUAGE.format(language=page.words.language), api_visibility="private")
    blocks.load(None, js=RESTORE_THEME, api_visibility="private")
