"""Encoding rows: each one's gradient through the encoder, as a table in the reference's layout.

Knows gradients and an encoder; measures nothing (see `encoder_metrics`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from gradiend_ui.engine.autoencoder import Autoencoder
from gradiend_ui.engine.eval_data import MASK
from gradiend_ui.engine.training.batches import ALTERNATIVE, Example
from gradiend_ui.engine.training.gradients import DIFF, GradientReader

KEPT_BYTES = 512 * 1024 * 1024
"""Gradients of the rows of an evaluation are kept between evaluations when they take no more than this."""


class RowEncoder:
    """Encodes the same rows again and again, for every evaluation of a training.

    Where they are few enough the gradients are computed once and kept: the base model does not change.
    """

    def __init__(self, reader: GradientReader, examples: Sequence[Example], source: str) -> None:
        self.examples = tuple(examples)
        self.source = source
        self._reader = reader
        self._kept: Tensor | None = None

    def encode(self, gradiend: Autoencoder) -> list[float | list[float]]:
        """The latent value of each row: a float, or a list where there are several."""
        with torch.no_grad():
            values = [self._encoded(gradiend, place) for place in range(len(self.examples))]
        return [value[0] if len(value) == 1 else value for value in values]

    def table(self, gradiend: Autoencoder) -> pd.DataFrame:
        """One row per example, as `encoded_table`."""
        return encoded_table(self.examples, self.encode(gradiend), self.source)

    def _encoded(self, gradiend: Autoencoder, place: int) -> list[float]:
        found: list[float] = gradiend.encode(self._gradient(place)).detach().cpu().tolist()
        return found

    def _gradient(self, place: int) -> Tensor:
        if self._kept is None:
            first = self._reader.gradient((self.examples[place],), self.source)
            if first.numel() * first.element_size() * len(self.examples) > KEPT_BYTES:
                return first
            self._kept = torch.stack([self._reader.gradient((example,), self.source) for example in self.examples])
        return self._kept[place]


def encoded_table(
    examples: Sequence[Example], encoded: Sequence[float | list[float]], source: str, kind: str = "training"
) -> pd.DataFrame:
    """The encoder table of the reference, without neutral rows: what was encoded, its label, class and words."""
    rows = [_row(example, value, source, kind) for example, value in zip(examples, encoded, strict=True)]
    return pd.DataFrame(rows)


def _row(example: Example, value: float | list[float], source: str, kind: str) -> dict[str, Any]:
    row = example.row
    token: str | None = {ALTERNATIVE: row.alternative, DIFF: None}.get(source, row.label)
    names: dict[str, str | int] = {ALTERNATIVE: row.alternative_class, DIFF: example.transition}
    name = names.get(source, row.label_class)
    return {
        "text": row.masked.replace(MASK, row.label),
        "encoded": value,
        "label": example.label_of(source),
        "source_id": name,
        "target_id": row.alternative_class,
        "feature_class_id": example.transition,
        "eval_group": row.label_class if source == "factual" else example.transition,
        "type": kind,
        "source_token": token,
        "factual_token": row.label,
        "alternative_token": row.alternative,
        "template": row.masked,
        "data_split": row.split,
    }
