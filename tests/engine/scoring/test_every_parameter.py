"""Every parameter of a model, touched in turn: what a sweep scores is what the whole model says, shortcuts or none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.scoring import padding
from gradiend_ui.engine.scoring.objectives import mlm
from gradiend_ui.engine.scoring.objectives.causal import ClmNextToken
from gradiend_ui.engine.scoring.readout import Batch, Readout, padded
from gradiend_ui.engine.scoring.targets import ClassTargets
from gradiend_ui.engine.weights import workspace as workspaces
from gradiend_ui.engine.weights.lower_layers import is_proven, lower_layers_of
from gradiend_ui.engine.weights.parameter_map import MappedParameter
from gradiend_ui.engine.weights.trial import FewTokens, close, copy_with, shaken, shaken_copy
from gradiend_ui.engine.weights.workspace import Workspace
from tests.support.every_parameter import differences, wrong
from tests.support.plain_path import CLASSES, ROW_LIST, ROWS, TEXTS, WORDS, plain, prepared, quick
from tests.support.zoo import ZOO, build

CLOSE = 1e-6
FEW = ("mamba2", "mamba", "jamba", "bamba", "falcon_h1", "lfm2", "qwen3_next", "deberta", "albert", "convbert")
FEW += ("bert-left", "t5")
ZOO_BY_NAME = {str(kept): kept for kept in ZOO}


@pytest.mark.parametrize("name", FEW)
def test_a_sweep_says_what_the_whole_model_says(name: str) -> None:
    found = list(differences(ZOO_BY_NAME[name]))
    assert wrong(found) == []
    assert sum(one.moved > 1e-5 for one in found) > len(found) // 3, "a touch that moves nothing compares nothing"


def test_the_zoo_is_large_and_of_every_kind() -> None:
    assert len(ZOO_BY_NAME) == len(ZOO) >= 60 and set(FEW) <= set(ZOO_BY_NAME)
    assert {kept.kind for kept in ZOO} == {"masked", "causal", "seq2seq"}
    assert {kept.kind for kept in map(ZOO_BY_NAME.__getitem__, FEW)} == {"masked", "causal", "seq2seq"}


def test_a_weight_that_is_read_past_its_module_counts_for_its_layer() -> None:
    """Mamba2 reads `conv1d.weight` without its module being entered."""
    base = build(ZOO_BY_NAME["mamba2"])
    own = [name for name, _ in base.model.named_parameters() if "conv1d" in name]
    for name in own:
        found = lower_layers_of(base.model, {name}, 1 << 20)
        assert (0 if found is None else found.first) == (1 if ".1." in name else 0), name
    assert len(own) == 4


def test_what_every_layer_reads_and_none_holds_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """DeBERTa's `rel_embeddings`: without the trial the second cell is read over the first one's lower layers."""
    base = build(ZOO_BY_NAME["deberta"])
    ((name, values),) = [(n, p) for n, p in base.model.named_parameters() if "rel_embeddings" in n]
    mapped = [MappedParameter(name, None, 0, values.numel())]
    objective, lms = prepared(base)
    updates = [torch.randn(values.numel(), generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]

    def second_cell() -> torch.Tensor:
        workspace = Workspace(base.model, mapped)
        return [quick(objective, lms, workspace.rewritten(update, 0.3))[0] for update in updates][1]

    right = second_cell()
    monkeypatch.setattr(workspaces, "is_proven", lambda *_args: True)
    assert (second_cell() - right).abs().max() > 1e-4


class Peeking(nn.Module):
    """A first layer that reads a weight of the last one."""

    def __init__(self, inner: nn.Module, other: nn.Linear) -> None:
        super().__init__()
        self.inner = inner
        self.__dict__["other"] = other

    def forward(self, hidden: torch.Tensor, *args: object, **options: object) -> object:
        return self.inner(hidden + self.__dict__["other"].bias, *args, **options)


def test_a_weight_of_an_upper_layer_that_a_lower_one_reads_is_noticed() -> None:
    base = build(ZOO_BY_NAME["bert"])
    model = copy_with(base.model, {})
    layers = model.bert.encoder.layer
    layers[0] = Peeking(layers[0], layers[1].output.dense)
    name = "bert.encoder.layer.1.output.dense.bias"
    found = lower_layers_of(model, {name}, 1 << 20)
    assert found is not None and found.first == 1
    bias = dict(model.named_parameters())[name]
    assert not is_proven(found, model, lambda seed: bias.copy_(torch.full_like(bias, seed / 3)))
    workspace = Workspace(model, [MappedParameter(name, None, 0, bias.numel())])
    assert workspace.twin.lower_layers is None


def test_a_twin_has_the_bases_values_after_its_trials() -> None:
    base = build(ZOO_BY_NAME["bert"])
    name = "bert.encoder.layer.1.output.dense.bias"
    size = dict(base.model.named_parameters())[name].numel()
    workspace = Workspace(base.model, [MappedParameter(name, torch.tensor([2]), 0, 1)])
    written = dict(workspace.rewritten(torch.ones(1), 0.5).named_parameters())[name]
    expected = dict(base.model.named_parameters())[name].clone()
    expected[2] += 0.5
    assert torch.equal(written, expected) and size > 1
    assert workspace.twin.lower_layers.first == 1, "tried and believed"


# --- what a loaded model may hide -------------------------------------------------------------------------------------


class Mixing(nn.Module):
    """Mixes the positions of a text by a weight that is zero in the model at hand."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.share = inner, nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(*args)
        return found + self.share * found.mean(dim=1, keepdim=True)


def test_a_narrowing_that_only_holds_for_the_loaded_weights_is_not_taken() -> None:
    base = build(ZOO_BY_NAME["bert"])
    ids = torch.arange(1, 25).view(3, 8)
    batch = Batch(ids, torch.ones_like(ids), torch.arange(3), torch.tensor([2, 5, 7]))
    assert Readout.trying(base.model, batch).narrow_at == "last layer"
    model = copy_with(base.model, {})
    last = model.bert.encoder.layer[1]
    last.output = Mixing(last.output)
    assert Readout.trying(model, batch).narrow_at == "head"
    tried = shaken_copy(model)
    one, two = (Readout(place).logits(tried, batch) for place in ("nowhere", "last layer"))
    assert not close(two, one, torch.float32), "what it would have given after a rewrite"


def moved(base: BaseModel, model: object) -> bool:
    encoded = base.encode([text.replace("[MASK]", base.tokenizer.mask_token or "x") for text in ROWS])
    return padding.padding_moves(
        model, [len(ids) for ids in encoded], base.tokenizer.padding_side, padding.whole_rows(encoded, base.pad_id)
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bert", False),
        ("roberta", False),
        ("convbert", True),
        ("mobilebert", True),
        ("fnet", True),
        ("bert-left", True),
    ],
)
def test_models_whose_numbers_depend_on_padding_are_noticed(name: str, expected: bool) -> None:
    base = build(ZOO_BY_NAME[name])
    assert moved(base, shaken_copy(base.model)) is expected


def test_padding_that_a_row_of_zeros_hides_is_noticed() -> None:
    """The loaded model's padding says nothing; that of a rewritten one does."""
    base = build(ZOO_BY_NAME["bert"])
    model = copy_with(base.model, {})
    model.bert.encoder.layer[0].output = Mixing(model.bert.encoder.layer[0].output)
    assert not moved(base, model) and moved(base, shaken_copy(model))


@pytest.mark.parametrize("name", ["convbert", "bert-left"])
def test_without_the_reference_s_chunks_the_numbers_would_be_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    base = build(ZOO_BY_NAME[name])
    objective, lms = prepared(base)
    assert len(objective.blocks) == 1 and lms.block_texts == (len(TEXTS),)
    wanted, wanted_lms = plain(base, base.model)
    ours, own_lms = quick(objective, lms, base.model)
    assert (ours - wanted).abs().max() < CLOSE and own_lms == wanted_lms
    monkeypatch.setattr(mlm, "padding_moves", lambda *_args: False)
    free, _ = quick(prepared(base)[0], lms, base.model)
    assert (free - wanted).abs().max() > 1e-5


def test_a_causal_model_that_padding_moves_is_read_row_by_row() -> None:
    targets = ClassTargets(WORDS, CLASSES)
    llama = build(ZOO_BY_NAME["llama"])
    assert len(ClmNextToken(llama, ROW_LIST, targets, "natural").blocks) < len(ROWS)
    leaks = copy_with(llama.model, {})
    leaks.model.layers[0].mlp = Mixing(leaks.model.layers[0].mlp)
    leaking = BaseModel(leaks, llama.tokenizer, "clm_next_token", "leaking")
    assert len(ClmNextToken(leaking, ROW_LIST, targets, "natural").blocks) == len(ROWS)


def test_a_decoder_without_a_rule_of_its_own_is_asked_from_its_first_token() -> None:
    base = build(ZOO_BY_NAME["m2m_100"])
    assert not hasattr(base.model, "prepare_decoder_input_ids_from_labels")
    _, wanted = plain(base, base.model)
    assert abs(quick(*prepared(base), base.model)[1] - wanted) < CLOSE


# --- the trial itself -------------------------------------------------------------------------------------------------


def test_a_trial_has_padding_several_lengths_and_leaves_the_model_alone() -> None:
    base = build(ZOO_BY_NAME["bert"])
    before = {name: tensor.clone() for name, tensor in base.model.state_dict().items()}
    tokens = FewTokens.of(base.model)
    assert len(set(tokens.attention_mask.sum(dim=1).tolist())) == 3
    tried = shaken_copy(base.model)
    assert all(not torch.equal(p, before[n]) for n, p in tried.named_parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.model.state_dict().items())
    assert not close(tokens.logits(tried), tokens.logits(base.model), torch.float32)
    once, again = tokens.logits(tried), tokens.logits(shaken_copy(base.model))
    assert torch.equal(once, again), "the same noise each time"


@pytest.mark.parametrize("values", [torch.zeros(40), torch.ones(40), torch.full((40,), 1 / 3), torch.zeros(1)])
def test_numbers_that_are_all_the_same_are_shaken_too(values: torch.Tensor) -> None:
    once, again = shaken(values, 1), shaken(values, 2)
    assert (once - values).abs().max() > 1e-3 and (again - once).abs().max() > 1e-3


def test_what_is_not_a_number_is_never_the_same() -> None:
    good, broken = torch.ones(2, 3), torch.full((2, 3), torch.nan)
    assert close(good, good + 1e-6, torch.float32) and not close(good, good + 1e-3, torch.float32)
    assert not close(broken, good, torch.float32) and not close(broken, broken, torch.float32)
    assert not close(good, good[:1], torch.float32) and close(good, good * 1.01, torch.bfloat16)
    assert padded([[1, 2], [3]], 0, "left")[0].tolist() == [[1, 2], [0, 3]]
