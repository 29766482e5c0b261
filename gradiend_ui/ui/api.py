"""The app's public functions, exactly as assets/docs/api.md lists them; everything else of the page is private.

JSON in, JSON out. A number that is not finite leaves as null with a reason; a refusal leaves as `[code] sentence`.
Knows nothing of the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.blocks import BlockFunction

from gradiend_ui.engine.errors import BadGrid, shown
from gradiend_ui.server.door.visitors import Visitors
from gradiend_ui.ui.kit.downloads import downloadable
from gradiend_ui.ui.kit.refusals import for_scripts

if TYPE_CHECKING:
    from gradiend_ui.server.session import Session

NOT_FINITE = "The value is not a finite number: the rewritten model overflowed."
KEYED = ("pause", "resume", "finish_cell", "stop", "label", "delete")
"""Functions whose last value is the key of the run."""
FREE: dict[str, object] = {"concurrency_limit": None}
Endpoint = Callable[..., dict[str, Any]]


def register(session: Session, visitors: Visitors) -> None:
    """Add the endpoints to the `gr.Blocks` that is being built."""
    for function in (*_sweeping(session, visitors), *_controls(session, visitors), *_reading(session)):
        gr.api(function, api_name=function.__name__, **FREE)
    _register_export(session, visitors)


def _sweeping(session: Session, visitors: Visitors) -> Iterable[Endpoint]:
    def load(source: str, options: dict[str, Any] = {}) -> dict[str, Any]:  # noqa: B006
        """Open a trained GRADIEND ("demo", "demo-number" or a folder) and describe it."""
        with for_scripts():
            return answer(session.load(source, as_object(options, "options")))

    def start_sweep(
        checkpoint: str,
        spec: dict[str, Any] = {},  # noqa: B006
        request: gr.Request = None,  # Gradio fills it in
    ) -> dict[str, Any]:
        """Queue a sweep over (feature factor, learning rate); gives its run id, and the key that controls it."""
        with for_scripts():
            return answer(session.start_sweep(checkpoint, as_object(spec, "spec"), visitors.of(request)))

    def open_finished(checkpoint: str, options: dict[str, Any] = {}) -> dict[str, Any]:  # noqa: B006
        """Open a finished sweep that lies beside the checkpoint, without sweeping, and say whether it still holds."""
        with for_scripts():
            return answer(session.open_finished(checkpoint, as_object(options, "options")))

    def cells(run: str, rev: int = 0) -> dict[str, Any]:
        """State of a run and the cells that changed after revision `rev`."""
        with for_scripts():
            return answer(session.cells(run, 0 if rev is None else rev))

    return load, start_sweep, open_finished, cells


def _controls(session: Session, visitors: Visitors) -> Iterable[Endpoint]:
    """What needs the key of the run; it is the last value."""

    def pause(run: str, key: str = "", request: gr.Request = None) -> dict[str, Any]:
        """Hold a sweep; nothing is lost."""
        with for_scripts():
            return answer(session.pause(run, visitors.asker(request, key)))

    def resume(run: str, key: str = "", request: gr.Request = None) -> dict[str, Any]:
        """Go on with a paused, stopped or interrupted sweep."""
        with for_scripts():
            return answer(session.resume(run, visitors.asker(request, key)))

    def finish_cell(run: str, cell: dict[str, Any], key: str = "", request: gr.Request = None) -> dict[str, Any]:
        """Score a cell that a sweep with winner_only skipped; the run goes on for it."""
        with for_scripts():
            return answer(session.finish_cell(run, cell, visitors.asker(request, key)))

    def stop(run: str, key: str = "", request: gr.Request = None) -> dict[str, Any]:
        """End a sweep; finished cells stay."""
        with for_scripts():
            return answer(session.stop(run, visitors.asker(request, key)))

    def label(run: str, name: str, note: str, key: str = "", request: gr.Request = None) -> dict[str, Any]:
        """Keep a name and a note for a sweep; "" takes them away."""
        with for_scripts():
            return answer(session.runs.label(run, name, note, visitors.asker(request, key)))

    def delete(run: str, key: str = "", request: gr.Request = None) -> dict[str, Any]:
        """Stop a sweep where it is going on, and remove it with its numbers; exports stay."""
        with for_scripts():
            session.runs.delete(run, visitors.asker(request, key))
            return {"deleted": run}

    return pause, resume, finish_cell, stop, label, delete


def _reading(session: Session) -> Iterable[Endpoint]:
    def select(run: str, options: dict[str, Any] = {}) -> dict[str, Any]:  # noqa: B006
        """The best cell under a policy, and why."""
        with for_scripts():
            return answer(session.select(run, as_object(options, "options")))

    def compare(
        run: str,
        cells: list[dict[str, Any]],
        texts: list[str],
        options: dict[str, Any] = {},  # noqa: B006
    ) -> dict[str, Any]:
        """Predictions of the base and of up to four rewritten models side by side."""
        with for_scripts():
            return answer(session.compare(run, cells, texts, as_object(options, "options")))

    return select, compare


def let_keys_be_left_out(blocks: gr.Blocks) -> None:
    """A raw call without its last value means no key, as a call without a key does that names its values."""
    preprocess = blocks.preprocess_data

    async def preprocess_data(
        block_fn: BlockFunction, inputs: list[object], *rest: object, **named: object
    ) -> list[object]:
        if block_fn.api_name in KEYED and len(inputs) == len(block_fn.inputs) - 1:
            inputs = [*inputs, ""]
        filled: list[object] = await preprocess(block_fn, inputs, *rest, **named)
        return filled

    blocks.preprocess_data = preprocess_data


def _register_export(session: Session, visitors: Visitors) -> None:
    """An endpoint that answers with a file needs a file component; nobody sees these."""

    def export(run: str, options: dict[str, Any], request: gr.Request) -> str:
        """Write the rewritten model of one cell, or of each class's best cell, as a zip file."""
        with for_scripts():
            return downloadable(session.export(run, as_object(options, "options"), visitors.of(request)))

    run = gr.Textbox(label="run", visible=False)
    options = gr.JSON(label="options", visible=False)
    file = gr.File(label="zip", visible=False)
    gr.Button(visible=False).click(
        export, [run, options], file, api_name="export", api_visibility="public", show_progress="hidden", **FREE
    )


def as_object(given: object, name: str) -> dict[str, Any]:
    """An argument that is an object of options; nothing stands for none of them."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise BadGrid(f"{name} must be an object, such as {{}}, not {shown(given)}.")
    return given


def answer(value: Mapping[str, object]) -> dict[str, Any]:
    return _sendable_object(value)


def sendable(value: object) -> object:
    """The same value with numbers that are not finite as null, and a `reason` beside them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [sendable(item) for item in value]
    return _sendable_object(value) if isinstance(value, dict) else value


def _sendable_object(value: Mapping[str, object]) -> dict[str, object]:
    clean = {str(key): sendable(item) for key, item in value.items()}
    if any(isinstance(item, float) and not math.isfinite(item) for item in value.values()):
        clean["reason"] = clean.get("reason") or NOT_FINITE
    return clean
