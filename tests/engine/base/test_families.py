"""Families of models beside the usual ones: loaded by the library's class, scored as it says, exported to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.data.rows import MASK, EvalData, read_rows
from gradiend_ui.engine.errors import BadBase, Failed
from gradiend_ui.engine.export.checkpoint import export_checkpoint
from gradiend_ui.engine.export.model_card import Rewrite
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.targets import TargetVocabulary
from gradiend_ui.engine.sweep.plan import prepare
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.training.batches import Example
from gradiend_ui.engine.training.gradients import GradientReader
from gradiend_ui.engine.values import Cell
from tests.support.tiny_families import BYTES, FAMILIES, save_family
from tests.support.tiny_gradiends import gradiend_on

CELL = Cell(-1.0, 0.5)
TEXT = "mary said that [MASK] would be late ."
SENTENCES = [(TEXT, "she", "F"), (TEXT, "he", "M")]
"""Of one length: the reference reads the shorter of two texts at its padding."""
OTHER = {"F": ("he", "M"), "M": ("she", "F")}


def rows() -> EvalData:
    table = [
        {"masked": text, "label": word, "label_class": name, "alternative": OTHER[name][0],
         "alternative_class": OTHER[name][1]}
        for text, word, name in SENTENCES
    ]  # fmt: skip
    return read_rows(pd.DataFrame(table))


def read_by_hand(model: Any, tokenizer: Any, text: str, word: str) -> float:
    """P(word): the probabilities of its spellings at the mask, or behind the text left of it, from a plain call."""
    vocabulary = TargetVocabulary(tokenizer)
    if tokenizer.mask_token is not None:
        ids = tokenizer(text.replace(MASK, tokenizer.mask_token), return_tensors="pt")
        place = ids["input_ids"][0].tolist().index(tokenizer.mask_token_id)
        tokens = [way[0] for way in vocabulary.pieces(word)]
    else:
        ids = tokenizer(text.split(MASK)[0], return_tensors="pt")
        place, tokens = -1, list(vocabulary.first_pieces(word))
    taken = {name: ids[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        logits = model(**taken).logits[0, place].float()
    return float(logits.softmax(-1)[tokens].sum())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_loaded_scored_and_exported(name: str, tmp_path: Path) -> None:
    base = save_family(name, tmp_path / "base")
    causal = FAMILIES[name][2] == BYTES
    auto: Any = AutoModelForCausalLM if causal else AutoModelForMaskedLM
    theirs, tokenizer = auto.from_pretrained(base).eval(), AutoTokenizer.from_pretrained(base)
    model = ModelWithGradiend.from_pretrained(gradiend_on(base, tmp_path / "gradiend"))
    assert type(model.base_model) is type(theirs)
    assert model.base.objective == ("clm_next_token" if causal else "mlm_mask_token")

    plan = prepare(model, SweepSpec(feature_factors=(-1.0,), learning_rates=(0.5,)), rows(), ["mary said that ."])
    workspace = model.workspace()
    rewritten = workspace.rewritten(model.update_vector("decoder", CELL.feature_factor), CELL.learning_rate)
    made = export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "out")
    exported = auto.from_pretrained(made).eval()
    for weights, plain in ((workspace.base_model, theirs), (rewritten, exported)):
        results = {block: plan.score_block(weights, block) for block in range(len(plan.block_sizes))}
        scored = plan.summarise(None, results)
        assert scored.status == "final"
        for text, word, own in SENTENCES:
            expected = read_by_hand(plain, tokenizer, text, word)
            assert scored.probs_by_dataset[own][own] == pytest.approx(expected, abs=1e-6)
    wanted = model.rewrite_base_model(CELL.learning_rate, CELL.feature_factor).state_dict()
    assert wanted.keys() == exported.state_dict().keys()
    assert all(torch.equal(tensor, exported.state_dict()[key]) for key, tensor in wanted.items())


@pytest.mark.parametrize("name", ["XLM", "FlauBERT"])
def test_a_gradiend_that_was_trained_on_the_next_token_is_scored_so(name: str, tmp_path: Path) -> None:
    base = save_family(name, tmp_path / "base")
    gradiend = gradiend_on(base, tmp_path / "gradiend")
    model = ModelWithGradiend.from_pretrained(gradiend, prediction_objective="clm_next_token")
    assert model.base.kind == "causal"
    plan = prepare(model, SweepSpec(), rows(), ["mary said that john ."])
    assert plan.score_block(model.base_model, 0).min() > 0


def changed(base: Path, **fields: Any) -> Path:
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | fields))
    return base


def test_a_model_that_writes_to_itself_keeps_its_weights(tmp_path: Path) -> None:
    """RWKV halves weights in place when it first reads a text: a second export would halve them twice."""
    base = changed(save_family("RWKV", tmp_path / "base"), rescale_every=1)
    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(base).eval(), AutoTokenizer.from_pretrained(base)
    model = ModelWithGradiend.from_pretrained(gradiend_on(base, tmp_path / "gradiend"))
    plan = prepare(model, SweepSpec(), rows(), ["mary said that ."])
    scored = plan.summarise(None, {block: plan.score_block(model.base_model, block) for block in range(3)})
    expected = read_by_hand(theirs, tokenizer, TEXT, "she")
    assert scored.probs_by_dataset["F"]["F"] == pytest.approx(expected, abs=1e-6)
    stored = load_file(base / "model.safetensors")
    assert all(torch.equal(stored[key], tensor) for key, tensor in model.base_model.state_dict().items())
    assert any(not torch.equal(stored[key], tensor) for key, tensor in theirs.state_dict().items()), "theirs do"
    reader = GradientReader(model.base, model.mapped, Example(rows().rows[0], 1, 0))
    assert float(reader.gradient([Example(rows().rows[0], 1, 0)], "factual").norm()) > 0


def test_what_loading_changes_is_told_when_it_is_exported(tmp_path: Path) -> None:
    """Funnel's row of the padding is set to zero whenever one is loaded."""
    base = save_family("Funnel", tmp_path / "base")
    gradiend = gradiend_on(base, tmp_path / "gradiend", ["funnel.embeddings.word_embeddings.weight"])
    model = ModelWithGradiend.from_pretrained(gradiend)
    with pytest.raises(
        Failed, match="transformers changes 'funnel.embeddings.word_embeddings.weight' of a funnel model"
    ):
        export_checkpoint(model, Rewrite(CELL, "decoder", {}), tmp_path / "out")


def test_layers_that_keep_no_record_are_not_trained(tmp_path: Path) -> None:
    base = save_family("Reformer", tmp_path / "base")
    model = ModelWithGradiend.from_pretrained(gradiend_on(base, tmp_path / "gradiend"))
    example = Example(rows().rows[0], 1, 0)
    reader = GradientReader(model.base, model.mapped, example)
    with pytest.raises(BadBase, match=r"layers \(reformer\) keep no record.*can be scored, not trained"):
        reader.gradient([example], "factual")


DISCRIMINATORS: dict[str, dict[str, Any]] = {
    "Electra": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64},
    "Funnel": {"block_sizes": [1, 1], "d_model": 32, "n_head": 2, "d_inner": 64},
}


@pytest.mark.parametrize("start", DISCRIMINATORS)
def test_a_discriminator_is_refused_when_it_is_loaded(start: str, tmp_path: Path) -> None:
    config = getattr(transformers, f"{start}Config")(**DISCRIMINATORS[start])
    getattr(transformers, f"{start}ForPreTraining")(config).save_pretrained(tmp_path)
    with pytest.raises(BadBase, match="is a discriminator.*give the generator"):
        load_base_model(str(tmp_path))
