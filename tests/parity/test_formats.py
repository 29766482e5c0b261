"""What is saved here of a checkpoint of another version loads in the reference, and rewrites the same weights there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gradiend_ui.engine.export.research_format import convert_research_checkpoint
from gradiend_ui.engine.model import ModelWithGradiend
from tests.parity.reference import Reference
from tests.support.cases import case

CELL = {"learning_rate": 0.5, "feature_factor": -1.0, "part": "decoder"}


@pytest.mark.parametrize("version", ["0.1.0", "next-no-encoder-bias", "next-components", "research-masks"])
def test_it_loads_in_the_reference(version: str, reference: Reference, tmp_path: Path) -> None:
    base, saved = case("bases/gpt2_tiny"), tmp_path / "saved"
    golden = case(f"golden/{version}/gradiend")
    if version.startswith("research"):
        convert_research_checkpoint(golden, saved, base)
    else:
        ModelWithGradiend.from_pretrained(golden, base).save_pretrained(saved)
    reference.ask("rewrite", checkpoint=str(saved), cells=[CELL], out=str(tmp_path / "out"))
    theirs = torch.load(tmp_path / "out" / "0.pt", weights_only=True)
    before = torch.load(tmp_path / "out" / "base.pt", weights_only=True)
    ours = dict(ModelWithGradiend.from_pretrained(saved).rewrite_base_model(0.5, -1.0, "decoder").named_parameters())
    assert all(torch.equal(ours[name].detach(), tensor) for name, tensor in theirs.items())
    assert any(not torch.equal(before[name], tensor) for name, tensor in theirs.items())
