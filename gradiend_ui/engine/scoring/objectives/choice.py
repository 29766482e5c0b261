"""From the name of an objective to its rows, prepared. The one list of them."""

from __future__ import annotations

from collections.abc import Sequence

from gradiend_ui.engine.base.base_model import CLM, CLOZE, ENCODER_MLM, MLM, BaseModel
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.scoring.objectives.causal import ClmNextToken
from gradiend_ui.engine.scoring.objectives.mlm import MlmMaskToken
from gradiend_ui.engine.scoring.objectives.probabilities import Objective
from gradiend_ui.engine.scoring.objectives.seq2seq_decoder import Seq2SeqDecoder
from gradiend_ui.engine.scoring.objectives.seq2seq_encoder_mlm import Seq2SeqEncoderMlm
from gradiend_ui.engine.scoring.objectives.sequence_cloze import SequenceCloze
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.values import DEFAULT_LIMITS, BatchLimits


def build_objective(
    base: BaseModel,
    rows: Sequence[EvalRow],
    targets: ClassTargets,
    token_boundary: str = "reference",
    limits: BatchLimits = DEFAULT_LIMITS,
) -> Objective:
    """`rows` prepared for the objective of `base`; token_boundary is read by "clm_next_token" only.

    Raises BadData when no row can be scored.
    """
    if base.objective == MLM:
        return MlmMaskToken(base, rows, targets, limits)
    if base.objective == CLM:
        return ClmNextToken(base, rows, targets, token_boundary, limits)
    if base.objective == CLOZE:
        return SequenceCloze(base, rows, targets, limits)
    if base.objective == ENCODER_MLM:
        return Seq2SeqEncoderMlm(base, rows, targets, limits)
    return Seq2SeqDecoder(base, rows, targets, limits)
