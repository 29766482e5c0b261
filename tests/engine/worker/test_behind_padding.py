"""A comparison says where a sweep reads rows behind padding, as the reference does: P is another than alone there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.worker.requests import Compare, Load, StartSweep
from gradiend_ui.engine.worker.worker import Worker
from tests.support.checkpoints import gradiend_on


@pytest.mark.parametrize(("boundary", "told"), [("reference", True), ("natural", False)])
def test_a_comparison_tells_how_many_rows_are_read_behind_padding(
    worker: Worker, tiny_gpt2: Path, tmp_path: Path, boundary: str, told: bool
) -> None:
    base = load_base_model(str(tiny_gpt2))
    gradiend_on(tmp_path / "gradiend", base, base_model=str(tiny_gpt2))
    handle = worker.answer(Load(str(tmp_path / "gradiend"), {}))["checkpoint"]
    texts = [
        "the engineer said that [MASK] was tired.",
        "today [MASK] was late.",
        "a very long day, and then [MASK] left.",
    ]
    words = {"label": "he", "label_class": "M", "alternative": "she", "alternative_class": "F"}
    rows = pd.DataFrame([{"masked": text, "split": "test", **words} for text in texts]).to_dict("records")
    rows += [{**row, "label": "she", "label_class": "F", "alternative": "he", "alternative_class": "M"} for row in rows]
    spec = {"rows": rows, "feature_factors": [-1.0], "learning_rates": [0.5], "token_boundary": boundary}
    run = worker.answer(StartSweep(handle, AskedSweep.of(spec)))["run"]
    while worker.step():
        pass
    answer = worker.answer(Compare(run, (), (texts[0],)))
    assert answer.get("behind_padding", 0) == (2 if told else 0), "those of the short text"
