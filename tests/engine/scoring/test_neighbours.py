"""A row says the same whatever is scored beside it: models that look at the widest row, or tell rows apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.scoring import readout
from gradiend_ui.engine.scoring.objectives.causal import ClmNextToken
from gradiend_ui.engine.scoring.readout import Batch, Readout
from gradiend_ui.engine.scoring.targets import ClassTargets, TargetVocabulary
from gradiend_ui.engine.weights.trial import shaken_copy
from tests.support.plain_path import CLASSES, WORDS, plain, prepared, quick
from tests.support.zoo import Kept, build

CLOSE = 1e-6
CHUNK = 16
SHORT = [f"{name} was [MASK] ." for name in ("john", "mary", "peter", "anna")] * 4
LONG = [" ".join(["the nurse went home and"] * 8) + " [MASK] ."] * 4
TWO_CHUNKS = [EvalRow(n, text, "he", "M", "she", "F", "test") for n, text in enumerate(SHORT + LONG)]
FACTORS = {"short_factor": [1.0] * 8, "long_factor": [3.0] * 8, "original_max_position_embeddings": 24}
LONG_ROPE = {
    "rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4, **FACTORS},
    "original_max_position_embeddings": 24,
}
XMOD = Kept("xmod", "masked", "pieces", {"languages": ["en_XX"], "default_language": "en_XX"})


@torch.inference_mode()
def chunk_by_chunk(base: BaseModel) -> Tensor:
    """P(class) of each row of TWO_CHUNKS as the reference reads them: its chunks, padded, at the last position."""
    found, spelled = [], TargetVocabulary(base.tokenizer).first_pieces
    for start in range(0, len(TWO_CHUNKS), CHUNK):
        texts = [row.masked.split(MASK)[0] for row in TWO_CHUNKS[start : start + CHUNK]]
        encoded = base.tokenizer(texts)["input_ids"]
        width = max(map(len, encoded))
        ids = torch.tensor([own + [base.pad_id] * (width - len(own)) for own in encoded])
        attended = torch.tensor([[1] * len(own) + [0] * (width - len(own)) for own in encoded])
        logits = base.model(input_ids=ids, attention_mask=attended).logits[:, -1]
        found.append(torch.softmax(logits.float(), dim=-1).double())
    probs = torch.cat(found)
    return torch.stack([probs[:, sorted(set(spelled(WORDS[name][0])))].sum(dim=1) for name in CLASSES], dim=1)


def next_tokens(base: BaseModel) -> tuple[Tensor, list[int]]:
    """(P(class) of each row, the rows of each block) as a sweep scores them."""
    objective = ClmNextToken(base, TWO_CHUNKS, ClassTargets(WORDS, CLASSES))
    found = torch.full((len(TWO_CHUNKS), len(CLASSES)), torch.nan, dtype=torch.float64)
    for block in objective.blocks:
        found[list(block.rows)] = objective.score(base.model, block)
    return found, [len(block.rows) for block in objective.blocks]


def test_rows_of_two_chunks_do_not_meet_where_a_long_row_moves_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long rotary factors are taken for a whole batch as soon as one row is long: 0.0028 of 0.006 in a sweep before."""
    base = build(Kept("phi3", "causal", "bytes", LONG_ROPE))
    wanted = chunk_by_chunk(base)
    found, sizes = next_tokens(base)
    assert (found - wanted).abs().max() < CLOSE and sizes == [CHUNK, len(LONG)]
    monkeypatch.setattr(ClmNextToken, "_rows_are_apart", lambda *_args: True)
    without, _ = next_tokens(base)
    assert (without - wanted).abs().max() > 1e-3


def test_rows_of_two_chunks_share_blocks_where_none_moves_another() -> None:
    base = build(Kept("phi3", "causal", "bytes"))
    found, sizes = next_tokens(base)
    assert (found - chunk_by_chunk(base)).abs().max() < CLOSE and max(sizes) > CHUNK


def test_a_model_that_tells_rows_apart_is_read_in_batches_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """XMOD looks at the language of each row, which fits narrowed states for one row alone."""
    base = build(XMOD)
    objective, lms = prepared(base)
    ours, wanted = quick(objective, lms, base.model), plain(base, base.model)
    assert (ours[0] - wanted[0]).abs().max() < CLOSE and ours[1] == wanted[1]
    one = torch.arange(1, 7).unsqueeze(0)
    row, tried = Batch(one, torch.ones_like(one), torch.tensor([0, 0]), torch.tensor([1, 4])), shaken_copy(base.model)
    assert Readout.trying(base.model, row, tried).narrow_at == "head"
    monkeypatch.setattr(readout, "_in_company", lambda batch: batch)
    assert Readout.trying(base.model, row, tried).narrow_at == "last layer", "which fails for two rows"


def test_a_model_that_fills_its_texts_up_is_tried_at_two_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longformer takes its filling back from what was narrowed: points were lost, but for widths of its window."""
    base = build(Kept("longformer", "masked", "bytes", {"attention_window": 4}))
    ids = torch.arange(5, 37).view(4, 8)
    full = Batch(ids, torch.ones_like(ids), torch.tensor([0, 1, 2, 3]), torch.tensor([1, 2, 3, 6]))
    other = Batch(ids[:, :7], torch.ones_like(ids[:, :7]), full.point_rows, full.point_positions)
    found = Readout.trying(base.model, full)
    assert found.narrow_at == "head" and len(found.logits(base.model, other)) == 4
    monkeypatch.setattr(readout, "_one_narrower", lambda batch: batch)
    fooled = Readout.trying(base.model, full)
    assert fooled.narrow_at == "last layer" and len(fooled.logits(base.model, other)) < 4


def test_a_row_in_company_is_there_twice_with_its_points() -> None:
    ids = torch.tensor([[5, 6, 7]])
    twice = readout._in_company(Batch(ids, torch.ones_like(ids), torch.tensor([0, 0]), torch.tensor([0, 2])))
    assert twice.input_ids.tolist() == [[5, 6, 7]] * 2 and twice.attention_mask.shape == (2, 3)
    assert twice.point_rows.tolist() == [0, 0, 1, 1] and twice.point_positions.tolist() == [0, 2, 0, 2]
    assert readout._in_company(twice) is twice
