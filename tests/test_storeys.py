"""The house stands: imports only go down, and importing the package is cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gradiend_ui"
FLOORS: dict[str, int] = {
    "engine.errors": 0,
    "engine.fair_queue": 1,
    "engine.run_keys": 0,
    "engine.values": 0,
    "engine.finite_weights": 1,
    "engine.machine_memory": 0,
    "engine.demos": 0,
    "engine.durable": 0,
    "engine.file_names": 0,
    "engine.home": 1,
    "engine.leftovers": 1,
    "engine.made": 1,
    "engine.spreadsheet": 0,
    "engine.checked_json": 0,
    "engine.seldom": 0,
    "engine.short_log": 1,
    "engine.trust": 1,
    "engine.confined": 1,
    "engine.confined_answer": 0,
    "engine.text_limit": 0,
    "engine.parquet_text": 0,
    "engine.stored_files": 0,
    "engine.fence": 0,
    "engine.no_sockets": 0,
    "engine.model_fields": 0,
    "engine.clean_model": 1,
    "engine.taken_in": 2,
    "engine.tokenizer_check": 1,
    "engine.tokenizer_classes": 1,
    "engine.tokenizer_patterns": 1,
    "engine.tokenizer_steps": 1,
    "engine.charsmap": 1,
    "engine.hub_base": 2,
    "engine.owned_places": 1,
    "engine.confined_tables": 1,
    "engine.base_files": 2,
    "engine.config_ranges": 1,
    "engine.described": 2,
    "engine.base_trouble": 2,
    "engine.archives": 1,
    "engine.safetensors_header": 1,
    "engine.checkpoint": 1,
    "engine.twin_weights": 1,
    "engine.checkpoint_config": 1,
    "engine.checkpoint_context": 1,
    "engine.checkpoint_writer": 1,
    "engine.run_folder": 1,
    "engine.importance": 1,
    "engine.trained": 1,
    "engine.autoencoder": 1,
    "engine.param_map": 1,
    "engine.eval_data": 1,
    "engine.alternatives": 1,
    "engine.table_reading": 1,
    "engine.uploaded_tables": 1,
    "engine.column_guess": 1,
    "engine.row_counts": 1,
    "engine.target_report": 5,
    "engine.data_report": 5,
    "engine.data_forms": 1,
    "engine.decoder_grid_cache": 1,
    "engine.companions": 1,
    "engine.recovered_rows": 1,
    "engine.finished_sweeps": 1,
    "engine.database": 1,
    "engine.store": 1,
    "engine.store_check": 1,
    "engine.store_place": 1,
    "engine.selection": 1,
    "engine.picture": 1,
    "engine.scored_grid": 1,
    "engine.pictures": 1,
    "engine.decision": 1,
    "engine.policies": 1,
    "engine.axes": 1,
    "engine.winners": 1,
    "engine.known_cells": 1,
    "engine.batches": 2,
    "engine.base_model": 2,
    "engine.targets": 2,
    "engine.chat_prompt": 2,
    "engine.readout": 2,
    "engine.lower_layers": 2,
    "engine.cores": 0,
    "engine.packed_linear": 2,
    "engine.mask_head": 2,
    "engine.shared_bases": 2,
    "engine.base_of_checkpoint": 3,
    "engine.workspace": 3,
    "engine.objectives": 3,
    "engine.lms": 3,
    "engine.model": 4,
    "engine.plan": 4,
    "engine.provenance": 4,
    "engine.provisional": 4,
    "engine.course": 4,
    "engine.winner_search": 4,
    "engine.sweep": 4,
    "engine.memory": 1,
    "engine.sentences": 4,
    "engine.continuation": 4,
    "engine.predict": 5,
    "engine.card": 5,
    "engine.export": 5,
    "engine.training": 5,
    "engine.assumptions": 5,
    "engine.health_card": 5,
    "engine.finished_check": 5,
    "engine.bench": 5,
    "engine.requests": 5,
    "engine.lane": 5,
    "engine.lifeline": 0,
    "engine.asking": 1,
    "engine.beside": 1,
    "engine.extent": 1,
    "engine.class_names": 1,
    "engine.table_report": 5,
    "engine.table_tasks": 5,
    "engine.worker": 5,
    "engine.worker_client": 5,
    "figures": 6,
    "trainer": 6,
    "ui.session": 7,
    "ui": 7,
    "demo": 7,
}
FORBIDDEN = {
    "engine": {"gradio", "plotly"},
    "figures": {"gradio", "torch", "transformers"},
    "ui": {"torch", "transformers"},
    "demo": {"gradio", "plotly"},
}


@cache
def modules() -> list[str]:
    return sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))


@cache
def imported(module: str) -> frozenset[str]:
    """Full names of everything the module imports, at any depth."""
    tree = ast.parse((PACKAGE / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def floor(module: str) -> int | None:
    pieces = module.split(".")
    for length in range(len(pieces), 0, -1):
        if ".".join(pieces[:length]) in FLOORS:
            return FLOORS[".".join(pieces[:length])]
    return None


@pytest.mark.parametrize("module", modules())
def test_imports_go_down(module: str) -> None:
    own = floor(module)
    if module.endswith("__init__"):
        return
    assert own is not None, f"{module} has no floor: name it in FLOORS"
    for name in imported(module):
        if name.startswith("gradiend_ui."):
            other = floor(name.removeprefix("gradiend_ui."))
            assert other is not None and other <= own, f"{module} (floor {own}) imports {name} (floor {other})"


@pytest.mark.parametrize("module", modules())
def test_storeys_keep_to_their_libraries(module: str) -> None:
    heads = {name.split(".")[0] for name in imported(module)}
    assert not heads & FORBIDDEN.get(module.split(".")[0], set())


def test_no_import_loop_on_one_floor() -> None:
    graph = {
        module: {
            other
            for other in modules()
            if any(
                name == f"gradiend_ui.{other}" or name.startswith(f"gradiend_ui.{other}.") for name in imported(module)
            )
        }
        for module in modules()
        if not module.endswith("__init__")
    }
    finished: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"loop: {' -> '.join((*trail, module))}"
        if module in finished:
            return
        for other in graph.get(module, ()):
            if other != module:
                visit(other, (*trail, module))
        finished.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("statement", ["import gradiend_ui", "import app", "import gradiend_ui.ui.session"])
def test_importing_is_cheap(statement: str) -> None:
    code = (
        f"import sys; {statement}; sys.exit(' '.join({{'torch', 'gradio', 'transformers'}} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_public_names_are_handed_out() -> None:
    import gradiend_ui

    for name in gradiend_ui.__all__:
        assert getattr(gradiend_ui, name) is not None
    with pytest.raises(AttributeError):
        _ = gradiend_ui.Nothing
