"""The zoo beside the reference: it trains a GRADIEND on each architecture a little, and everything is compared.

Used by the tests and by `python -m tests.programs.zoo`, which writes the table of assets/docs/models.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tests.parity.comparison import CAUSAL_LMS, PROBABILITY, evaluate_ours
from tests.parity.reference import Reference
from tests.parity.rewrites import different, named_tensors, rewrite_theirs
from tests.support import tiny_text
from tests.support.zoo import Kept, build, save

CLASSES = ["M", "F"]
WAYS: Mapping[str, dict[str, Any]] = {
    "whole": {},
    "pruned": {"topk": 0.05, "prune_samples": 4},
    "params": {"params": ["*.1.*"]},
}
"""How the reference trains: on everything, on the largest twentieth, on the parameters of a glob (the second layer)."""
NO_SECOND = {
    "albert": ["*attention*"], "funnel": ["*blocks.1.*"],
    "xlnet": [f"*.1.rel_attn.{name}" for name in ("q", "k", "v", "o", "r", "r_r_bias", "r_w_bias")] + ["*.1.ff.*"],
}  # fmt: skip
IDLE = {
    "fnet": ("pooler",), "layoutlm": ("pooler",), "squeezebert": ("pooler",), "big_bird": ("pooler",),
    "roformer": ("embed_positions",), "pegasus": ("encoder.embed_positions",), "marian": ("encoder.embed_positions",),
    "xlnet": ("mask_emb", "r_s_bias", "seg_embed"),
}  # fmt: skip
"""What takes no part in the loss; the reference refuses to train with it, so "whole" is without it there."""
TRAINING = {"max_steps": 2, "eval_steps": 2, "train_batch_size": 2}
CALLS = [{"lrs": [0.5, 5]}]
CELL = {"learning_rate": 0.5, "feature_factor": 1.0}


@dataclass(frozen=True)
class Outcome:
    """What was found in one architecture and way.

    probability, lms: largest differences; refused: the sentence of the side that could not do it, with its name.
    """

    name: str
    kind: str
    way: str
    probability: float = 0.0
    lms: float = 0.0
    winners: bool = False
    tensors: bool = False
    export: bool = False
    refused: str = ""

    @property
    def same(self) -> bool:
        numbers = self.probability <= PROBABILITY and self.lms <= CAUSAL_LMS
        return numbers and self.winners and self.tensors and self.export and not self.refused


def rows() -> pd.DataFrame:
    return tiny_text.build_rows(8, 4, 10)


def compared(kept: Kept, way: str, reference: Reference, folder: Path) -> Outcome:
    """Train, score, rewrite and export with both; `folder` is empty and named so that it tells no kind of model."""
    base = folder / ("t5" if kept.words == "sentinels" else "base")  # the reference looks for the first in the path
    if not base.is_dir():
        save(kept, base)
    table = rows()
    arguments = {**TRAINING, **WAYS[way]}
    if way == "params":
        arguments["params"] = NO_SECOND.get(kept.model_type, arguments["params"])
    elif kept.model_type in IDLE:
        arguments["params"] = _without(kept, IDLE[kept.model_type])
    try:
        records = table.to_dict("records")
        answer = reference.ask("train", base=str(base), out=str(folder / way), rows=records, **arguments)
        checkpoint = Path(answer["checkpoint"])
        _direct(checkpoint)
        scored = (checkpoint, table, tiny_text.build_neutral_texts(12), CALLS)
        (theirs,) = reference.evaluate(*scored, target_classes=CLASSES)
    except RuntimeError as error:
        return Outcome(str(kept), kept.kind, way, refused=f"reference: {_last_line(error)}")
    try:
        return _compared(kept, way, reference, folder, scored, theirs)
    except Exception as error:  # whatever ours raises is what the table tells
        return Outcome(str(kept), kept.kind, way, refused=f"gradiend_ui: {_last_line(error)}")


def _compared(
    kept: Kept, way: str, reference: Reference, folder: Path, scored: tuple[Any, ...], theirs: Mapping[str, Any]
) -> Outcome:
    from gradiend_ui import ModelWithGradiend
    from gradiend_ui.engine.export.checkpoint import export_checkpoint
    from gradiend_ui.engine.export.model_card import Rewrite
    from gradiend_ui.engine.values import Cell

    checkpoint = scored[0]
    (ours,) = evaluate_ours(*scored, folder / f"{way}-ours", target_classes=CLASSES)
    probability = lms = 0.0
    for key, cell in theirs["grid"].items():
        own = ours["grid"][key]
        pairs = [(own["probs_by_dataset"][d][n], p) for d, m in cell["probs_by_dataset"].items() for n, p in m.items()]
        probability = max(probability, *(abs(one - other) for one, other in pairs))
        lms = max(lms, abs(own["lms"]["lms"] - cell["lms"]["lms"]))
    keys = [key for key in theirs if key != "grid"]
    facts = ("feature_factor", "learning_rate")
    winners = all(ours[key][fact] == theirs[key][fact] for key in keys for fact in facts)
    _, wanted = rewrite_theirs(reference, checkpoint, [CELL], folder / f"{way}-rewrites")
    model = ModelWithGradiend.from_pretrained(str(checkpoint))
    tensors = different(named_tensors(model.rewrite_base_model(**CELL)), wanted) == []
    rewrite = Rewrite(Cell(CELL["feature_factor"], CELL["learning_rate"]), "decoder", {})
    export = export_checkpoint(model, rewrite, folder / f"{way}-export").is_dir()
    return Outcome(str(kept), kept.kind, way, probability, lms, winners, tensors, export)


def _without(kept: Kept, parts: Iterable[str]) -> list[str]:
    names = [name for name, _ in build(kept).model.named_parameters()]
    return [name for name in names if not any(part in name for part in parts)]


def _direct(checkpoint: Path) -> None:
    """Say which class is at +1: after so few steps the class means do not tell, and of a pruned one nothing else."""
    path = checkpoint / "gradiend_context.json"
    context = json.loads(path.read_text())
    path.write_text(json.dumps({**context, "feature_class_encoding_direction": {"M": 1, "F": -1}}))


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:160]
