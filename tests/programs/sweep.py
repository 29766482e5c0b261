"""How fast a sweep is: against the reference (`--peer`), and against what the machine can do.

    python -m tests.programs.sweep [--peer] [--workload demo mini base causal] [--rounds 3] [--json OUT]

Alternating runs, each in a process of its own; medians and their ratio. The limit is the time the multiplications that
the numbers need would take at the speed of a plain matrix product, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gradiend_ui.engine.weights.packed_layers import PackedLinear
from tests.programs.workloads import BUILDERS, Workload, build

ROOT = Path(__file__).parents[2]
MASKED_SHARE = 0.15


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="store_true", help="also time the reference, alternating")
    parser.add_argument("--workload", nargs="+", choices=list(BUILDERS), default=list(BUILDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every number there")
    options = parser.parse_args(arguments)
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.workload:
            workload = build(name, Path(folder))
            table.append(compared(workload, Path(folder), options.rounds, options.peer))
            print(line_of(table[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1))


def compared(workload: Workload, folder: Path, rounds: int, with_peer: bool) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
    peaks = []
    for _ in range(rounds):
        peaks.append(gemm_peak())
        for side in ("peer", "ours") if with_peer else ("ours",):
            runs[side].append(once(side, workload.name, folder))
    seconds = {side: statistics.median(run["seconds"] for run in found) for side, found in runs.items() if found}
    limit = needed_flops(workload) / statistics.median(peaks)
    entry: dict[str, Any] = {
        "workload": workload.name,
        "cells": len(runs["ours"][0]["cells"]),
        "seconds": seconds,
        "gemm_gflops": statistics.median(peaks) / 1e9,
        "limit_seconds": limit,
        "share_of_limit": limit / seconds["ours"],
        "peak_mb": {side: max(run["peak_mb"] for run in found) for side, found in runs.items() if found},
        "loaded_mb": {side: max(run["loaded_mb"] for run in found) for side, found in runs.items() if found},
        "repeats_equal": all(run["cells"] == runs["ours"][0]["cells"] for run in runs["ours"]),
    }
    if with_peer:
        ratios = [theirs["seconds"] / own["seconds"] for theirs, own in zip(runs["peer"], runs["ours"], strict=True)]
        entry |= {"ratio": statistics.median(ratios), **differences(runs["peer"][0], runs["ours"][0])}
    return entry


def once(side: str, name: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.programs.sweep_once", side, name, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed on {name}:\n{done.stderr[-3000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def differences(theirs: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The largest difference of a probability and of an LMS, and whether the same cells were chosen."""
    assert theirs["cells"].keys() == own["cells"].keys()
    pairs = [
        (key, theirs["cells"][cell][key], own["cells"][cell][key])
        for cell in own["cells"]
        for key in own["cells"][cell]
    ]
    return {
        "probability_difference": max(abs(a - b) for key, a, b in pairs if key != "lms"),
        "lms_difference": max(abs(a - b) for key, a, b in pairs if key == "lms"),
        "same_choice": theirs["chosen"] == own["chosen"],
    }


def gemm_peak(size: int = 1536, seconds: float = 1.5) -> float:
    """Floating-point operations a second of a float32 matrix product, by the quicker of PyTorch's two libraries."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    layer = PackedLinear(torch.nn.Linear(size, size))
    best = 0.0
    with torch.inference_mode():
        for product in (lambda: torch.mm(left, right), lambda: layer(left)):
            product()
            until = time.perf_counter() + seconds / 2
            while time.perf_counter() < until:
                began = time.perf_counter()
                product()
                best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def needed_flops(workload: Workload) -> float:
    """Of the multiplications that the numbers of all cells need: every token through every layer but the last
    feed-forward part, which the read positions alone need, as they alone need the head."""
    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(workload.base)
    tokenizer = AutoTokenizer.from_pretrained(workload.base)
    rows = workload.table[workload.table["split"] == "test"]["masked"].tolist()
    lengths = [len(ids) for ids in tokenizer(rows)["input_ids"]]
    text_lengths = [len(ids) for ids in tokenizer(workload.texts)["input_ids"]]
    hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    if workload.kind == "clm":
        share = config.num_key_value_heads / config.num_attention_heads
        attention, feed_forward = hidden * hidden * (2 + 2 * share), 3 * hidden * inner
        lengths = [length // 2 for length in lengths]
        read_points = len(rows) + sum(length - 1 for length in text_lengths)
        read = hidden * config.vocab_size
    else:
        attention, feed_forward = 4 * hidden * hidden, 2 * hidden * inner
        read_points = len(rows) + sum(max(1, int(MASKED_SHARE * length)) for length in text_lengths)
        read = hidden * (hidden + config.vocab_size)
    tokens, squares = sum(lengths) + sum(text_lengths), sum(n * n for n in (*lengths, *text_lengths))
    whole = layers - (1 if workload.kind == "mlm" else 0)
    products = tokens * (layers * attention + whole * feed_forward) + squares * layers * 2 * hidden
    products += read_points * (read + (layers - whole) * feed_forward)
    cells = 1 + 2 * (16 if workload.rates is None else len(workload.rates))
    return 2.0 * products * cells


def line_of(entry: dict[str, Any]) -> str:
    seconds, peak = entry["seconds"], entry["peak_mb"]
    parts = [f"{entry['workload']:>7} {entry['cells']:>3} cells  ours {seconds['ours']:7.1f} s"]
    if "peer" in seconds:
        parts.append(f"peer {seconds['peer']:7.1f} s  ratio {entry['ratio']:5.2f}")
    parts.append(f"{entry['share_of_limit']:.0%} of the limit ({entry['gemm_gflops']:.0f} GFLOP/s)")
    parts.append("peak " + " / ".join(f"{side} {value:,.0f} MB" for side, value in peak.items()))
    if "ratio" in entry:
        parts.append(
            f"largest difference P {entry['probability_difference']:.1e}, LMS {entry['lms_difference']:.1e}, "
            f"{'same' if entry['same_choice'] else 'OTHER'} choice"
        )
    return "  ".join([*parts, "" if entry["repeats_equal"] else "REPEATS DIFFER"]).rstrip()


if __name__ == "__main__":
    main()
