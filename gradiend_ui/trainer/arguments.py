"""`TrainingArguments`: the settings of a trainer, named as in the `gradiend` package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingArguments:
    """Settings of a trainer; names as in the `gradiend` package.

    experiment_dir: where results are kept and several rewritten models are written; None keeps them in memory.
    use_cache: reuse stored results by default. seed: of the draws that caps on rows and texts make.
    """

    experiment_dir: str | Path | None = None
    use_cache: bool = True
    seed: int = 0
    decoder_eval_max_size_training_like: int | None = None
    decoder_eval_max_size_neutral: int | None = None
