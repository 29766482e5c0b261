"""The gradient of one masked text for one word: what `ModelWithGradiend.encode` needs to take texts."""

from __future__ import annotations

from torch import Tensor

from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.eval_data import MASK, EvalRow
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.training.batches import Example
from gradiend_ui.engine.training.gradients import FACTUAL, GradientReader


class TextGradients:
    """Gradients with respect to the mapped weights of `model`, as they are mapped when it is asked."""

    def __init__(self, model: ModelWithGradiend) -> None:
        self._model = model

    def create_gradients(self, text: str, label: str) -> Tensor:
        """The flat gradient (mapped weights,) of predicting `label` at the `[MASK]` of `text`.

        Raises BadData for a text without exactly one mask.
        """
        if text.count(MASK) != 1:
            raise BadData(f"The text has {text.count(MASK)} times {MASK} instead of once: {text[:80]!r}.")
        example = Example(EvalRow(0, text, label, "", label, "", ""), 0, 0)
        reader = GradientReader(self._model.base, self._model.mapped, example)
        return reader.sides([example], [FACTUAL])[FACTUAL]
