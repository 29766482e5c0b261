"""Request for predictions of the base and of chosen cells, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradiend_ui.engine.bench import Bench, cell_of
from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.predict import compare as predict

OPTIONS = frozenset({"top_k"})


def compare(bench: Bench, request: Mapping[str, Any]) -> dict[str, Any]:
    """{run, cells, texts, options} -> {texts: ...} of `engine.predict.compare`."""
    record = bench.store.run(str(request["run"]))
    loaded = bench.checkpoint(record.checkpoint)
    options = dict(request.get("options") or {})
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise BadGrid(f"Unknown option {unknown[0]!r}; /compare knows {', '.join(sorted(OPTIONS))}.")
    spec = bench.unchanged(record, loaded)
    texts = predict(
        loaded.model,
        loaded.workspace,
        [cell_of(cell) for cell in request["cells"]],
        list(request["texts"]),
        targets=bench.targets(record, loaded),
        token_boundary=spec["token_boundary"],
        part=spec["part"],
        top_k=options.get("top_k", 5),
    )
    return {"texts": texts}
