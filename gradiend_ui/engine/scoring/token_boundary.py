"""Token boundary: whether the space before an asked word belongs to the text left of it or to the word itself.

A byte-level causal model says " she" as one token. Its two readings:
  "reference"  the text keeps its trailing space and a word is its plain pieces, as in `gradiend` 0.2.3.
  "natural"    the trailing space is dropped and a word is its word-initial pieces ("Ġhe"): what the model really says.
How rows are scored under either is in `objectives.causal`, the pieces of a word in `targets.TargetVocabulary`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gradiend_ui.engine.values import NATURAL

REPORT_ROWS = 32
"""Rows, at most, that are scored under both to see whether they differ."""
FAR = 10
LEAST_MASS = 0.001


def left_text(left: str, token_boundary: str) -> str:
    """The text left of the asked word as the model reads it."""
    return left.rstrip() if token_boundary == NATURAL else left


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
        if self.natural > FAR * self.reference and self.natural > LEAST_MASS:
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
