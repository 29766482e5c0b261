"""How numbers were made: programs, arithmetic, device, hashes of what went in, and how the work was cut up.

Plain values, noted with every run and written into every export. Knows a prepared sweep; no store and no page.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict
from importlib.metadata import version

import torch

import gradiend_ui
from gradiend_ui.engine.answers.run import MadeBy
from gradiend_ui.engine.sweep.plan import PreparedSweep
from gradiend_ui.engine.values import SCORER_VERSION


def versions() -> dict[str, str]:
    """The programs that make a number: {name: version}."""
    return {
        "gradiend_ui": gradiend_ui.__version__,
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "python": platform.python_version(),
    }


def provenance(plan: PreparedSweep) -> MadeBy:
    """{versions, scorer, precision, weights_dtype, device, threads, sha256, blocks} as plain values.

    sha256: of the base model, of base and GRADIEND together, of the rows with their targets, and of everything that a
    number depends on, neutral texts and blocks included. blocks: how many there are of rows and of texts, and the most
    that one holds.
    """
    model = plan.model
    return {
        "versions": versions(),
        "scorer": SCORER_VERSION,
        "precision": plan.spec.precision,
        "weights_dtype": str(model.base_model.dtype).removeprefix("torch."),
        "device": _device(model.base_model.device),
        "threads": torch.get_num_threads(),
        "sha256": {
            "base": model.base.fingerprint(),
            "base_and_gradiend": model.fingerprint,
            "rows": _rows_hash(plan),
            "everything": plan.fingerprint,
        },
        "blocks": {
            "rows": len(plan.objective.blocks),
            "texts": len(plan.lms.block_texts),
            **{f"most_{name}": most for name, most in asdict(plan.limits).items()},
        },
    }


def lines_of(made: MadeBy | None) -> list[tuple[str, str]]:
    """The same as (name, text) for a card; nothing for a run that noted none."""
    if not made:
        return []
    hashes, blocks = made["sha256"], made["blocks"]
    return [
        ("scores made with", ", ".join(f"{name} {number}" for name, number in made["versions"].items())),
        ("scorer version", str(made["scorer"])),
        ("scored in", f"{made['precision']}, weights {made['weights_dtype']}"),
        ("scored on", f"{made['device']}, {made['threads']} threads"),
        ("blocks", f"{blocks['rows']} of rows, {blocks['texts']} of texts, at most {blocks['most_rows']} at once"),
        *((f"{name.replace('_', ' ')}, sha256", str(digest)) for name, digest in hashes.items()),
    ]


def _device(device: torch.device) -> str:
    """`cpu (x86_64)`, or the name of the graphics card."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.machine()})"


def _rows_hash(plan: PreparedSweep) -> str:
    rows = [[row.masked, row.label, row.label_class, row.alternative, row.alternative_class] for row in plan.rows]
    words = plan.targets.words
    targets = None if words is None else {name: list(own) for name, own in words.items()}
    return hashlib.sha256(json.dumps([rows, targets], sort_keys=True).encode()).hexdigest()
