"""`clm_next_token`: P(class) as the next token after the text left of `[MASK]`.

Two token boundaries:
  "reference"  the text keeps its trailing space and a target is its plain pieces, as in `gradiend` 0.2.3. Rows are
               scored in its chunks of 16 in table order, padded as the tokenizer pads, and read at the last
               position of the padded chunk: with right padding that position follows padding tokens for every row
               but the longest. Kept as it is, for equal numbers.
  "natural"    the trailing space is dropped and a target is its word-initial pieces ("Ġhe"), read at the row's own
               last token: what the model really says next. Numbers do not depend on the other rows.
`boundary_report` compares the two on the base model and says so when the reference's rule sees almost nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.base_model import CLM, BaseModel
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.eval_data import MASK, EvalRow
from gradiend_ui.engine.objectives.candidates import target_ids
from gradiend_ui.engine.objectives.probabilities import RowBlock, TargetReads, length_sorted_chunks, score_block
from gradiend_ui.engine.readout import Batch, Readout, padded
from gradiend_ui.engine.targets import ClassTargets, TargetVocabulary

Model = Any
REFERENCE_CHUNK = 16
ROWS_PER_BLOCK = 32
TOKENS_PER_BLOCK = 4096
REPORT_ROWS = 64


class ClmNextToken:
    """Rows prepared for next-token scoring. Rows with nothing left of the mask score nothing."""

    name = CLM

    def __init__(
        self, base: BaseModel, rows: Sequence[EvalRow], targets: ClassTargets, token_boundary: str = "reference"
    ) -> None:
        self.classes = targets.classes
        self.token_boundary = token_boundary
        self._base = base
        self._targets = targets
        vocabulary = TargetVocabulary(base.tokenizer)
        self._first = functools.cache(vocabulary.first_pieces)
        self._word_initial = functools.cache(vocabulary.word_initial_pieces)
        self._rows = tuple(rows)
        prefixes = [row.masked.split(MASK)[0] for row in rows]
        self.unscorable = tuple(i for i, prefix in enumerate(prefixes) if not prefix.strip())
        if len(self.unscorable) == len(rows):
            raise BadData(f"No row has text left of {MASK}: a causal model has nothing to continue.")
        self.after_padding = 0
        build = self._reference_blocks if token_boundary == "reference" else self._natural_blocks
        self.blocks = tuple(build(prefixes))
        self.readout = Readout.trying(base.model, self.blocks[0].reads[0][0])

    def score(self, model: Model, block: RowBlock) -> Tensor:
        """See `Objective.score`."""
        return score_block(self.readout, model, block, len(self.classes))

    def warnings(self) -> tuple[str, ...]:
        """See `Objective.warnings`."""
        found: list[str] = []
        if self.unscorable:
            found.append(
                f"{len(self.unscorable)} of {len(self._rows)} rows score nothing: "
                "their mask lies without text to its left."
            )
        if self.token_boundary == "reference":
            report = boundary_report(self._base, self._rows, self._targets)
            found += [report.warning] if report.warning else []
        return tuple(found)

    def _reference_blocks(self, prefixes: list[str]) -> list[RowBlock]:
        blocks = []
        for start in range(0, len(prefixes), REFERENCE_CHUNK):
            places = [i for i in range(start, min(start + REFERENCE_CHUNK, len(prefixes))) if i not in self.unscorable]
            if not places:
                continue
            encoded = self._base.encode([prefixes[i] for i in places], self._base.max_length)
            input_ids, attention_mask = padded(encoded, self._base.pad_id, self._base.tokenizer.padding_side)
            self.after_padding += int((attention_mask[:, -1] == 0).sum())
            blocks.append(self._block(places, input_ids, attention_mask, None, prefixes))
        return blocks

    def _natural_blocks(self, prefixes: list[str]) -> list[RowBlock]:
        places = [i for i in range(len(prefixes)) if i not in self.unscorable]
        encoded = self._base.encode([prefixes[i].rstrip() for i in places])
        kept = [ids[-self._base.max_length :] for ids in encoded]
        blocks = []
        for chunk in length_sorted_chunks([len(ids) for ids in kept], ROWS_PER_BLOCK, TOKENS_PER_BLOCK):
            input_ids, attention_mask = padded([kept[i] for i in chunk], self._base.pad_id)
            lasts = attention_mask.sum(dim=1) - 1
            blocks.append(self._block([places[i] for i in chunk], input_ids, attention_mask, lasts, prefixes))
        return blocks

    def _block(
        self,
        places: list[int],
        input_ids: Tensor,
        attention_mask: Tensor,
        points: Tensor | None,
        prefixes: list[str],
    ) -> RowBlock:
        if points is None:
            points = torch.full((len(places),), input_ids.shape[1] - 1)
        batch = Batch(input_ids, attention_mask, torch.arange(len(places)), points)
        entries = [
            (row, column, (token,))
            for row, place in enumerate(places)
            for column, token in self._row_entries(self._rows[place], prefixes[place])
        ]
        return RowBlock(tuple(places), ((batch, TargetReads.build(entries)),))

    def _row_entries(self, row: EvalRow, prefix: str) -> list[tuple[int, int]]:
        """(class column, token id) of every target of one row, each id once per class."""
        word_initial = self.token_boundary == "natural" and prefix[-1:].isspace() and not self._base.chat_prompt
        return target_ids(row, self._targets, self._word_initial if word_initial else self._first)


@dataclass(frozen=True)
class BoundaryReport:
    """Mean total probability of all targets on the base model under both rules, over the first rows.

    after_padding: rows that the reference's rule reads behind padding tokens, out of `rows`.
    """

    reference: float
    natural: float
    after_padding: int
    rows: int

    @property
    def warning(self) -> str | None:
        """A sentence when the reference's rule misleads, else None."""
        if self.natural > 10 * self.reference and self.natural > 0.001:
            return (
                f"The reference's token boundary sees almost none of the targets on the base model (total probability "
                f"{self.reference:.2g} against {self.natural:.2g} with the natural boundary): "
                "switch token_boundary to 'natural' to score what the model really says."
            )
        if self.after_padding:
            return (
                f"The reference's rule reads {self.after_padding} of {self.rows} rows behind padding tokens: "
                "switch token_boundary to 'natural' for numbers that do not depend on the other rows."
            )
        return None


def boundary_report(base: BaseModel, rows: Sequence[EvalRow], targets: ClassTargets) -> BoundaryReport:
    """Score the base model on at most 64 rows under both token boundaries."""
    sample = [row for row in rows if row.masked.split(MASK)[0].strip()][:REPORT_ROWS]
    if not sample:
        raise BadData(f"No row has text left of {MASK}: a causal model has nothing to continue.")
    mass: dict[str, float] = {}
    after_padding = 0
    for boundary in ("reference", "natural"):
        objective = ClmNextToken(base, sample, targets, boundary)
        scores = torch.cat([objective.score(base.model, block) for block in objective.blocks])
        mass[boundary] = float(scores.nansum(dim=1).mean())
        after_padding = max(after_padding, objective.after_padding)
    return BoundaryReport(mass["reference"], mass["natural"], after_padding, len(sample))
