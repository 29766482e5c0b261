"""Runs the reference (``gradiend`` 0.2.3) for the parity tests, in a process of its own.

Importing the reference replaces ``sys.stderr`` and edits the environment, and using it reseeds the global random
generators; here it does so to nobody. One JSON request per line comes in on stdin, one JSON reply per line goes out
on the stdout this process was started with. Everything else it prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def _open_reply_channel() -> Any:
    """Keep the real stdout for replies; whatever prints from now on lands on stderr."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def train(
    *,
    base: str,
    out: str,
    rows: list[dict],
    topk: float | None = None,
    prune_samples: int = 16,
    bin_copy: str | None = None,
    **arguments: Any,
) -> dict:
    """Train a GRADIEND on ``base`` for a few steps and save it under ``out/model``; returns that folder.

    ``topk`` pre-prunes to that share of the weights, by the gradients of ``prune_samples`` rows. ``bin_copy``: a
    folder where the result is saved once more, as pytorch_model.bin.
    """
    import pandas as pd
    from gradiend import TextPredictionTrainer, TrainingArguments
    from gradiend.trainer.core.pruning import PrePruneConfig

    if topk is not None:
        arguments["pre_prune_config"] = PrePruneConfig(n_samples=prune_samples, topk=topk, source="diff")
    defaults = {"train_batch_size": 4, "max_steps": 36, "eval_steps": 12, "learning_rate": 1e-3}
    settings = TrainingArguments(
        experiment_dir=out, max_seeds=1, encoder_eval_train_max_size=8, **{**defaults, **arguments}
    )
    trainer = TextPredictionTrainer(model=base, data=pd.DataFrame(rows), target_classes=["M", "F"], args=settings)
    trainer.train()
    if bin_copy is not None:
        trainer.get_model().save_pretrained(bin_copy, use_safetensors=False)
        (Path(bin_copy) / "training.json").write_bytes((Path(out) / "model" / "training.json").read_bytes())
    return {"checkpoint": str(Path(out) / "model")}


def _trainer(checkpoint: str, rows: list[dict], neutral: list[str] | None, trainer: dict, arguments: dict) -> Any:
    import pandas as pd
    from gradiend import TextPredictionTrainer, TrainingArguments

    return TextPredictionTrainer(
        model=checkpoint,
        data=pd.DataFrame(rows),
        eval_neutral_data=None if neutral is None else pd.DataFrame({"text": neutral}),
        args=TrainingArguments(**arguments),
        **trainer,
    )


def evaluate(
    *,
    checkpoint: str,
    rows: list[dict],
    neutral: list[str] | None,
    trainer: dict,
    arguments: dict,
    calls: list[dict],
) -> list[dict]:
    """One evaluate_decoder result per entry of ``calls`` (its keyword arguments; ``selector`` by class name)."""
    from gradiend.evaluator import decoder

    subject = _trainer(checkpoint, rows, neutral, trainer, arguments)
    results = []
    for call in calls:
        options = dict(call)
        options["selector"] = getattr(decoder, options.pop("selector", "LMSThresholdPolicy"))()
        result = subject.evaluate_decoder(use_cache=False, **options)
        grid = [[list(key) if isinstance(key, tuple) else key, cell] for key, cell in result.pop("grid").items()]
        results.append({"summary": result, "grid": grid})
    return results


def rewrite(*, checkpoint: str, cells: list[dict], out: str) -> dict:
    """Rewrite the base once per entry of ``cells`` (keyword arguments) and save every tensor to ``out/<index>.pt``.

    Parameters and buffers under their names, tied ones once. The base as loaded goes to ``out/base.pt``.
    """
    import torch
    from gradiend.trainer.text.prediction.model_with_gradiend import TextPredictionModelWithGradiend

    model = TextPredictionModelWithGradiend.from_pretrained(checkpoint, require_gradiend_model=True)
    Path(out).mkdir(parents=True, exist_ok=True)

    def save(module: Any, name: str) -> None:
        torch.save({key: value.detach() for key, value in module.named_parameters()}, Path(out) / f"{name}.pt")

    save(model.base_model, "base")
    for index, cell in enumerate(cells):
        save(model.rewrite_base_model(**cell), str(index))
    return {"class_directions": model.feature_class_encoding_direction, "source": model.source}


OPERATIONS = {"train": train, "evaluate": evaluate, "rewrite": rewrite}


def main() -> None:
    channel = _open_reply_channel()
    import torch

    torch.set_num_threads(int(os.environ.get("PARITY_THREADS", "1")))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"value": OPERATIONS[request["operation"]](**request["arguments"])}
        except Exception:  # the one door of this process: the asking test shows the traceback
            reply = {"error": traceback.format_exc()}
        channel.write(json.dumps(reply) + "\n")
        channel.flush()


if __name__ == "__main__":
    main()
