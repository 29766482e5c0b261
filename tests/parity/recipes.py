"""Which GRADIENDs the reference trains for the parity tests. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MATRICES = [
    "bert.encoder.layer.*.intermediate.dense.weight",
    *(f"bert.encoder.layer.{i}.output.dense.weight" for i in (0, 1)),
]
TIED = ["transformer.wte.weight", "transformer.h.*.mlp.c_fc.weight"]


@dataclass(frozen=True)
class Recipe:
    """How the reference trains one checkpoint; ``mode`` is what its mapping must come out as.

    A pruned GRADIEND gets no class directions from the reference. ``directed``: they are written into its context
    afterwards, M +1 and F -1 (what the reference assumes then); else the signs in training.json must tell.
    """

    name: str
    base: str
    mode: str
    topk: float | None = None
    with_bin: bool = False
    directed: bool = True
    arguments: dict[str, Any] = field(default_factory=dict)


RECIPES = (
    Recipe("bert-all", "bert", "all", with_bin=True, arguments={"source": "alternative"}),
    Recipe("bert-mixed", "bert", "mixed", topk=0.05, directed=False, arguments={"source": "factual"}),
    Recipe("bert-mask", "bert", "mask", topk=0.6, with_bin=True, arguments={"params": MATRICES}),
    Recipe("bert-indices", "bert", "indices", topk=0.1, with_bin=True, arguments={"params": MATRICES}),
    Recipe("gpt2-all", "gpt2", "all", arguments={"source": "factual"}),
    Recipe(
        "gpt2-indices",
        "gpt2",
        "indices",
        topk=0.05,
        with_bin=True,
        arguments={"params": TIED, "prediction_objective": "clm_next_token"},
    ),
)
CHECKPOINTS = [recipe.name for recipe in RECIPES] + [f"{recipe.name}-bin" for recipe in RECIPES if recipe.with_bin]
