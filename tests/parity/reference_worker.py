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
    run_id: str | None = None,
    **arguments: Any,
) -> dict:
    """Train a GRADIEND on ``base`` for a few steps and save it under ``out/model``; returns that folder.

    ``run_id``: it goes to ``out/<run_id>/model``.

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
        experiment_dir=out, encoder_eval_train_max_size=8, **{"max_seeds": 1, **defaults, **arguments}
    )
    trainer = TextPredictionTrainer(
        model=base, run_id=run_id, data=pd.DataFrame(rows), target_classes=["M", "F"], args=settings
    )
    trainer.train()
    if bin_copy is not None:
        trainer.get_model().save_pretrained(bin_copy, use_safetensors=False)
        (Path(bin_copy) / "training.json").write_bytes((Path(out) / "model" / "training.json").read_bytes())
    return {"checkpoint": str(Path(out) / (run_id or "") / "model")}


def _trainer(checkpoint: str, rows: list[dict], neutral: list[str] | None, trainer: dict, arguments: dict) -> Any:
    import pandas as pd
    import torch
    from gradiend import TextPredictionTrainer, TrainingArguments

    if "torch_dtype" in arguments:
        arguments = {**arguments, "torch_dtype": getattr(torch, arguments["torch_dtype"])}
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
    """One evaluate_decoder result per entry of ``calls``: its keyword arguments, tables as records, policies and
    extractors by name, ``part`` through the evaluator (the trainer's method has no such argument).

    "scored": how many models were scored for it; a call that raises gives {"refused": its sentence}.
    """
    subject = _trainer(checkpoint, rows, neutral, trainer, arguments)
    count, score = [0], subject.evaluate_base_model

    def counted(*values: Any, **options: Any) -> Any:
        count[0] += 1
        return score(*values, **options)

    subject.evaluate_base_model = counted
    results = []
    for call in calls:
        count[0] = 0
        try:
            result = _evaluate_once(subject, dict(call))
        except (TypeError, ValueError, KeyError) as error:
            results.append({"refused": f"{type(error).__name__}: {error}"})
            continue
        grid = [[list(key) if isinstance(key, tuple) else key, cell] for key, cell in result.pop("grid").items()]
        results.append({"summary": result, "grid": grid, "scored": count[0]})
    return results


def _evaluate_once(subject: Any, options: dict) -> dict:
    import pandas as pd
    from gradiend.evaluator import decoder

    from tests.parity.own_choices import EXTRACTORS, POLICIES

    policy = options.pop("selector", "LMSThresholdPolicy")
    options["selector"] = POLICIES[policy]() if policy in POLICIES else getattr(decoder, policy)()
    if "summary_extractor" in options:
        make = EXTRACTORS[options["summary_extractor"]]
        options["summary_extractor"] = make(decoder.Candidate, decoder.BaseContext)
    for name in ("training_like_df", "neutral_df"):
        if name in options:
            options[name] = pd.DataFrame(options[name])
    options.setdefault("use_cache", False)
    if "part" in options:
        return decoder.DecoderEvaluator().evaluate_decoder(subject, **options)
    return subject.evaluate_decoder(**options)


def rewrite(*, checkpoint: str, cells: list[dict], out: str, torch_dtype: str = "float32") -> dict:
    """Rewrite the base once per entry of ``cells`` (keyword arguments) and save every tensor to ``out/<index>.pt``.

    Parameters and buffers under their names, tied ones once. The base as loaded goes to ``out/base.pt``.
    """
    import torch
    from gradiend.trainer.text.prediction.model_with_gradiend import TextPredictionModelWithGradiend

    model = TextPredictionModelWithGradiend.from_pretrained(
        checkpoint, require_gradiend_model=True, torch_dtype=getattr(torch, torch_dtype)
    )
    Path(out).mkdir(parents=True, exist_ok=True)

    def save(module: Any, name: str) -> None:
        torch.save({key: value.detach() for key, value in module.named_parameters()}, Path(out) / f"{name}.pt")

    save(model.base_model, "base")
    for index, cell in enumerate(cells):
        save(model.rewrite_base_model(**cell), str(index))
    return {"class_directions": model.feature_class_encoding_direction, "source": model.source}


def unify(
    *, data: list[dict] | dict[str, list[dict]] | str, tokenizer: str, trainer: dict, arguments: dict, calls: list[dict]
) -> dict:
    """How the reference reads ``data`` (records, records per class, a file) and what create_training_data chooses.

    One list of rows per entry of ``calls`` (its keyword arguments).
    """
    import pandas as pd
    from gradiend import TextPredictionTrainer, TrainingArguments
    from transformers import AutoTokenizer

    if isinstance(data, dict):
        table: Any = {name: pd.DataFrame(records) for name, records in data.items()}
    else:
        table = data if isinstance(data, str) else pd.DataFrame(data)
    subject = TextPredictionTrainer(model=tokenizer, data=table, args=TrainingArguments(**arguments), **trainer)
    frame = subject.combined_data
    read = {"all_classes": subject.all_classes, "target_classes": subject.target_classes}
    loaded = AutoTokenizer.from_pretrained(tokenizer)
    chosen = [
        subject.create_training_data(loaded, is_decoder_only_model=False, **call).data.to_dict("records")
        for call in calls
    ]
    return {**read, "rows": frame.to_dict("records"), "chosen": chosen}


def operate(*, checkpoint: str, steps: list[list], cells: list[dict], out: str, topk: float | int = 25) -> dict:
    """Load ``checkpoint``, call the model's methods ``steps`` ([name, keyword arguments]) and tell all about it.

    The rewrites of ``cells`` go to ``out/<index>.pt`` (a refused one is named in "refused"), importances per part to
    ``out/importance.pt``, top weights to ``out/<part>.json`` and ``.csv``, the model saved to ``out/saved`` and, as
    .bin, to ``out/saved-bin``; the encoding of ``out/gradients.pt`` is told where that file lies there.
    """
    import torch
    from gradiend.trainer.text.prediction.model_with_gradiend import TextPredictionModelWithGradiend

    model = TextPredictionModelWithGradiend.from_pretrained(checkpoint, require_gradiend_model=True)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    masks = []
    for name, arguments in steps:
        answer = getattr(model, name)(**arguments)
        if isinstance(answer, tuple):
            model, mask = answer
            masks.append(mask.nonzero().flatten().tolist())
    refused = []
    for index, cell in enumerate(cells):
        try:
            rewritten = model.rewrite_base_model(**cell)
        except ValueError as error:
            refused.append([index, str(error)])
            continue
        tensors = {key: value.detach() for key, value in rewritten.named_parameters()}
        torch.save(tensors, folder / f"{index}.pt")
    parts = ("encoder-weight", "decoder-weight", "decoder-bias", "decoder-sum")
    torch.save({part: model.get_weight_importance(part).detach() for part in parts}, folder / "importance.pt")
    for part in parts:
        for suffix in ("json", "csv"):
            model.export_topk_features(str(folder / f"{part}.{suffix}"), part=part, topk=topk)
    model.save_pretrained(str(folder / "saved"))
    model.save_pretrained(str(folder / "saved-bin"), use_safetensors=False)
    gradients = folder / "gradients.pt"
    whole = len(model) == model.unpruned_length()  # of a pruned one the reference takes global indices for local ones
    encoded = model.encode(torch.load(gradients)).tolist() if gradients.is_file() else None
    return {
        "masks": masks,
        "refused": refused,
        "topk": {part: model.get_topk_weights(part=part, topk=topk) for part in parts},
        "hash": model.param_map_hash,
        "lengths": [len(model), model.pruned_length(), model.unpruned_length()],
        "direction": model.feature_class_encoding_direction,
        "encoded": encoded,
        "enhancer": model.get_enhancer_mask(0.01).nonzero().flatten().tolist() if whole else None,
        "name": model.name,
    }


def evaluate_encoder(*, checkpoint: str, rows: list[dict], neutral: list[str] | None, options: dict) -> dict:
    """evaluate_encoder's result as JSON; its table of encoded rows comes as records under "frame"."""
    import json as plain

    from gradiend.util.util import to_jsonable

    subject = _trainer(checkpoint, rows, neutral, {"target_classes": ["M", "F"]}, {})
    result = subject.evaluate_encoder(return_df=True, use_cache=False, **options)
    frame = result.pop("encoder_df")
    return {**to_jsonable(result), "frame": plain.loads(frame.to_json(orient="records", double_precision=15))}


def experiment(
    *,
    base: str,
    out: str,
    rows: list[dict],
    neutral: list[str],
    arguments: dict,
    calls: list[dict],
    encode: bool = True,
) -> dict:
    """A whole run in the folder ``out``: train, evaluate_encoder, then evaluate_decoder for every entry of ``calls``.

    Everything with the reference's own files and caches; returns the grid of the last call, as ``evaluate`` does.
    """
    import pandas as pd
    from gradiend import TextPredictionTrainer, TrainingArguments

    defaults = {"train_batch_size": 4, "max_steps": 24, "eval_steps": 12, "learning_rate": 1e-3, "max_seeds": 1}
    subject = TextPredictionTrainer(
        model=base,
        data=pd.DataFrame(rows),
        target_classes=["M", "F"],
        eval_neutral_data=pd.DataFrame({"text": neutral}),
        args=TrainingArguments(experiment_dir=out, encoder_eval_train_max_size=8, **{**defaults, **arguments}),
    )
    subject.train()
    if encode:
        subject.evaluate_encoder(split="test")
    result: dict = {"grid": {}}
    for call in calls:
        result = subject.evaluate_decoder(**call)
    grid = [[list(key) if isinstance(key, tuple) else key, cell] for key, cell in result.pop("grid").items()]
    return {"summary": result, "grid": grid}


MODULES = ("", ".trainer", ".evaluator", ".visualizer", ".comparison", ".data", ".model", ".util")
DRAWN_BY = {"plot_encoder_distributions": "encoder_distributions", "plot_training_convergence": "convergence",
            "plot_probability_shifts": "probability_shifts"}  # fmt: skip


def public_surface() -> dict:
    """Every public name of the reference: {"modules": {module: its names}, "classes": {class: {member: its arguments,
    None for a property or field}}, "inherited": {class: names of torch's}, "functions": {name: its arguments}}."""
    import dataclasses
    import importlib
    import inspect

    import torch
    from gradiend import PostPruneConfig, PrePruneConfig, TextPredictionConfig, TextPredictionTrainer, TrainingArguments
    from gradiend.evaluator.decoder import BaseContext, Candidate, LMSThresholdPolicy, LMSTimesMetricPolicy
    from gradiend.trainer.text.prediction.model_with_gradiend import TextPredictionModelWithGradiend

    classes = (
        *(TextPredictionTrainer, TextPredictionModelWithGradiend, TrainingArguments, TextPredictionConfig),
        *(PrePruneConfig, PostPruneConfig, LMSThresholdPolicy, LMSTimesMetricPolicy, Candidate, BaseContext),
    )
    patched = {
        name
        for name, member in vars(torch.nn.Module).items()
        if inspect.isfunction(member) and not member.__module__.startswith("torch")
    }  # by transformers, while it loads a model
    torchs = {name for name in dir(torch.nn.Module) if not name.startswith("_")} - patched
    found: dict = {"modules": {}, "classes": {}, "inherited": {}, "functions": {}}
    for place in MODULES:
        module = importlib.import_module(f"gradiend{place}")
        found["modules"][module.__name__] = sorted(module.__all__)
    for cls in classes:
        own = torchs - set(vars(cls)) if issubclass(cls, torch.nn.Module) else set()
        fields = {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
        names = {name for name in dir(cls) if not name.startswith("_")} - own - fields - patched
        members = {**dict.fromkeys(fields), **{name: _arguments(cls, name) for name in names}}
        found["classes"][cls.__name__] = dict(sorted(members.items()))
        found["classes"][cls.__name__]["__init__"] = _arguments(cls, "__init__")
        found["inherited"][cls.__name__] = sorted(own)
    trainer = found["classes"]["TextPredictionTrainer"]
    for method, place in DRAWN_BY.items():
        drawn = importlib.import_module(f"gradiend.visualizer.{place}")
        trainer[method] = list(dict.fromkeys([*trainer[method], *_arguments(drawn, method)]))
        trainer[method].remove("trainer")
    found["functions"]["load_training_stats"] = _arguments(importlib.import_module("gradiend"), "load_training_stats")
    return found


def script(*, name: str, rows: list[dict], texts: list[str], **found: Any) -> Any:
    """What a script of tests/support/scripts.py tells when it is run with the reference."""
    import pandas as pd

    from tests.support.scripts import run_script

    values = {"rows": pd.DataFrame(rows), "texts": pd.DataFrame({"text": texts}), **found}
    return run_script(name, "gradiend", values)


def default_settings() -> dict:
    """{class: {field: what it is when nothing is given}}, of those fields whose default is a plain value."""
    import dataclasses

    from gradiend import PostPruneConfig, PrePruneConfig, TextPredictionConfig, TrainingArguments

    found = {}
    for cls in (TrainingArguments, TextPredictionConfig, PrePruneConfig, PostPruneConfig):
        made = cls()
        values = {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
        found[cls.__name__] = {
            name: value for name, value in values.items() if value is None or isinstance(value, (bool, int, float, str))
        }
    return found


def _arguments(owner: Any, name: str) -> list | None:
    """The arguments of a function or method without self and those that take any name; None for another member."""
    import inspect

    member = getattr(owner, name) if inspect.ismodule(owner) else inspect.getattr_static(owner, name)
    function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
    if not inspect.isfunction(function):
        return None
    free = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [one.name for one in found if one.kind not in free and one.name not in ("self", "cls")]


OPERATIONS = {
    operation.__name__: operation
    for operation in (
        *(default_settings, evaluate, evaluate_encoder, experiment, operate),
        *(public_surface, rewrite, script, train, unify),
    )
}


def main() -> None:
    channel = _open_reply_channel()
    os.chdir(sys.argv[1])  # what the reference writes beside itself lands there
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
