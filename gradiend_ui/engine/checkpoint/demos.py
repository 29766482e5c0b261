"""The bundled demos by the names under which they are opened. Knows folder names only."""

from __future__ import annotations

from pathlib import Path

DEMO, NUMBER_DEMO = "demo", "demo-number"
DEMOS = {DEMO: "gradiend", NUMBER_DEMO: "number"}
"""{source: folder of its checkpoint}: two GRADIENDs on one base model."""


def checkpoint_folder(source: str, demo_folder: Path) -> Path:
    """Where a source lies: a demo's own folder, else the folder that is named."""
    return demo_folder / DEMOS[source] if source in DEMOS else Path(source).expanduser()
