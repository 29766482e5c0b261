"""What a GRADIEND is trained on: gradients beside transformers' own loss, the order of rows, first weights, pruning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.loading import load_base_model
from gradiend_ui.engine.checkpoint.config import DECODER_WEIGHT, ENCODER_WEIGHT, Architecture
from gradiend_ui.engine.data.rows import MASK, EvalRow, read_rows
from gradiend_ui.engine.errors import BadBase, BadData, BadGrid
from gradiend_ui.engine.scoring.objectives.candidates import added_ids
from gradiend_ui.engine.training.batches import Example, evaluation_order, examples_of, training_schedule
from gradiend_ui.engine.training.gradients import GradientReader
from gradiend_ui.engine.training.initial import initial_weights, kept_entries, parameter_map, sampled_examples
from gradiend_ui.engine.training.losses import batch_of, prepare_for
from gradiend_ui.engine.training.settings import PrePruneConfig

LENGTH = 256  # the reference pads every row to it


@pytest.fixture(scope="module")
def examples(rows: pd.DataFrame) -> tuple[Example, ...]:
    return examples_of([row for row in read_rows(rows).rows if row.split == "train"], ("M", "F"))


def plain_gradient(base: BaseModel, batch: list[tuple[list[int], list[int], list[int] | None]]) -> torch.Tensor:
    """The gradient of transformers' own loss on fully padded rows: (ids, labels at the same places, decoder labels)."""
    ids = torch.full((len(batch), LENGTH), base.pad_id)
    attention, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for number, (tokens, wanted, _) in enumerate(batch):
        ids[number, : len(tokens)] = torch.tensor(tokens)
        attention[number, : len(tokens)] = 1
        labels[number, : len(wanted)] = torch.tensor(wanted)
    if batch[0][2] is not None:
        labels = torch.tensor([said for _, _, said in batch])
    model = base.model
    names = list(parameter_map(base).shapes)
    parameters = [dict(model.named_parameters())[name] for name in names]
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        loss = model(input_ids=ids, attention_mask=attention, labels=labels).loss
        return torch.cat([one.reshape(-1) for one in torch.autograd.grad(loss, parameters)])
    finally:
        model.requires_grad_(False)


def labelled(base: BaseModel, row: EvalRow, word: str) -> tuple[list[int], list[int], list[int] | None]:
    """Row and labels as the objective defines them, written down plainly."""
    tokenizer = base.tokenizer
    left = row.masked.split(MASK)[0]
    pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
    if base.objective == "mlm_mask_token":
        ids = tokenizer(row.masked.replace(MASK, " ".join([tokenizer.mask_token] * len(pieces))))["input_ids"]
        left_over = iter(pieces)
        return ids, [next(left_over) if token == tokenizer.mask_token_id else -100 for token in ids], None
    if base.objective == "clm_next_token":
        ids = tokenizer(left)["input_ids"]
        return ids, [-100] * (len(ids) - 1) + [tokenizer.get_vocab()[word]], None
    if base.objective == "clm_sequence_cloze":
        ids = tokenizer(row.masked.replace(MASK, word))["input_ids"]
        start = len(tokenizer(left, add_special_tokens=False)["input_ids"])
        return ids, [-100] * start + ids[start:], None
    ids = tokenizer(row.masked.replace(MASK, tokenizer.mask_token or "<extra_id_0>"))["input_ids"]
    said = added_ids(tokenizer, left, [word])[0]
    sentinels = tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])
    return ids, [], said if tokenizer.mask_token else [sentinels[0], *said, sentinels[1]]


@pytest.mark.parametrize(
    ("kind", "objective"),
    [
        ("tiny_bert", "mlm_mask_token"),
        ("tiny_roberta", "mlm_mask_token"),
        ("tiny_gpt2", "clm_next_token"),
        ("tiny_llama", "clm_next_token"),
        ("tiny_gpt2", "clm_sequence_cloze"),
        ("tiny_bart", "seq2seq_decoder_sequence_cloze"),
        ("tiny_t5", "seq2seq_decoder_sequence_cloze"),
    ],
)
def test_gradients_are_those_of_the_models_own_loss(
    request: pytest.FixtureRequest, examples: tuple[Example, ...], kind: str, objective: str
) -> None:
    base = load_base_model(str(request.getfixturevalue(kind)), objective=objective)
    chosen = [one for one in examples if not one.row.label.istitle()][:3]
    reader = GradientReader(base, parameter_map(base).mapped, chosen[0])
    both = reader.sides(chosen, ("factual", "alternative"))
    for side in ("factual", "alternative"):
        words = [one.row.label if side == "factual" else one.row.alternative for one in chosen]
        batch = [labelled(base, one.row, word) for one, word in zip(chosen, words, strict=True)]
        if batch[0][2] is not None and len({len(said or ()) for _, _, said in batch}) > 1:
            pytest.skip("transformers would need padded labels here")
        wanted = plain_gradient(base, batch)
        assert wanted.abs().max() > 1e-4
        torch.testing.assert_close(both[side], wanted, rtol=1e-3, atol=2e-5)
    torch.testing.assert_close(reader.gradient(chosen, "diff"), both["factual"] - both["alternative"])
    assert not torch.equal(both["factual"], both["alternative"])


@pytest.mark.parametrize("kind", ["tiny_t5", "tiny_bart"])
def test_encoder_side_masks(request: pytest.FixtureRequest, examples: tuple[Example, ...], kind: str) -> None:
    """The loss at the encoder: cross entropy of the output layer on the hidden state at the mask."""
    base = load_base_model(str(request.getfixturevalue(kind)), objective="seq2seq_encoder_mlm")
    example = examples[0]
    mapped = parameter_map(base)
    reader = GradientReader(base, mapped.mapped, example)
    made = reader.input_of(example, "factual")
    assert not any("decoder." in name for name in mapped.shapes), "the decoder takes no part"
    model = base.model
    parameters = [dict(model.named_parameters())[name].requires_grad_(True) for name in mapped.shapes]
    ids = torch.tensor([made.input_ids])
    hidden = model.get_encoder()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    places, tokens = zip(*made.points, strict=True)
    loss = torch.nn.functional.cross_entropy(model.lm_head(hidden)[0, list(places)], torch.tensor(tokens))
    wanted = torch.cat([one.reshape(-1) for one in torch.autograd.grad(loss, parameters)])
    model.requires_grad_(False)
    torch.testing.assert_close(reader.gradient([example], "factual"), wanted, rtol=1e-3, atol=1e-5)


def test_pruned_gradients_are_entries_of_the_whole(tiny_bert: Path, examples: tuple[Example, ...]) -> None:
    base = load_base_model(str(tiny_bert))
    whole = parameter_map(base, ["bert.encoder.*.query.*", "bert.embeddings.*"])
    kept = torch.rand(whole.size, generator=torch.Generator().manual_seed(1)) < 0.1
    kept[whole.mapped[0].start : whole.mapped[0].stop] = False  # a parameter that loses everything stays in the map
    pruned = whole.keeping(kept)
    assert list(pruned.shapes) == list(whole.shapes) and pruned.size == int(kept.sum())
    full = GradientReader(base, whole.mapped, examples[0]).gradient(examples[:2], "factual")
    torch.testing.assert_close(
        GradientReader(base, pruned.mapped, examples[0]).gradient(examples[:2], "factual"), full[kept]
    )
    again = torch.zeros(pruned.size, dtype=torch.bool)
    again[::3] = True
    narrow = GradientReader(base, pruned.keeping(again).mapped, examples[0]).gradient(examples[:2], "factual")
    torch.testing.assert_close(narrow, full[kept][::3])


def test_words_of_two_pieces_long_rows_and_empty_prefixes(tiny_bert: Path, tiny_gpt2: Path) -> None:
    bert, gpt2 = load_base_model(str(tiny_bert)), load_base_model(str(tiny_gpt2))
    row = EvalRow(0, f"john made the book for {MASK} .", "himself", "M", "herself", "F", "train")
    made = prepare_for(bert)(bert, row, "himself")
    assert [token for _, token in made.points] == bert.tokenizer.convert_tokens_to_ids(["him", "##self"])
    long = replace(row, masked="the book is old . " * 80 + f"john made it for {MASK} . " + "it was late . " * 80)
    window = prepare_for(bert)(bert, long, "himself")
    assert len(window.input_ids) <= LENGTH and len(window.points) == 2
    empty = replace(row, masked=f"{MASK} went home .")
    asked = prepare_for(gpt2)(gpt2, empty, "she")
    assert asked.input_ids == () and batch_of(gpt2, [asked]).input_ids.shape == (1, LENGTH)
    single = prepare_for(gpt2)(gpt2, replace(row, masked=f"john{MASK}"), "she")
    if len(single.input_ids) == 1:
        with pytest.raises(BadData, match="less than two tokens"):
            batch_of(gpt2, [single])


def test_parameters_that_take_no_part_are_named(tiny_bert: Path, examples: tuple[Example, ...]) -> None:
    base = load_base_model(str(tiny_bert))
    base.model.bert.unused = torch.nn.Linear(2, 2)
    reader = GradientReader(base, parameter_map(base).mapped, examples[0])
    with pytest.raises(BadBase, match=r"unused\.weight"):
        reader.gradient(examples[:1], "factual")


def test_the_classes_take_turns_and_short_groups_start_again(examples: tuple[Example, ...]) -> None:
    few = [one for one in examples if one.label == 1] + [one for one in examples if one.label == -1][:5]
    schedule = training_schedule(few, 2, 0)
    order = [schedule[place] for place in range(24)]
    assert len(schedule) == 12 + 2 and [batch[0].label for batch in order] == [1, -1] * 12
    assert all(len({one.label for one in batch}) == 1 for batch in order)
    assert len(set(order[1::2])) == 2, "the two full batches of the short class, again and again"
    assert training_schedule(few, 2, 0).groups == schedule.groups
    assert training_schedule(few, 2, 1).groups != schedule.groups
    with pytest.raises(BadData, match="at most 5"):
        training_schedule(few, 6, 0)
    encoded = evaluation_order(few, "alternative", balance=True, seed=0)
    assert len(encoded) == 29 and sum(one.label for one in encoded) == 1
    assert evaluation_order(few, "alternative", balance=False, seed=0)[-1].label == 1
    assert [one.label_of("alternative") for one in encoded[:2]] == [-1.0, 1.0]


def test_first_weights_are_drawn_privately() -> None:
    shape = Architecture(input_dim=100, latent_dim=1)
    before = torch.random.get_rng_state()
    one, other, third = (initial_weights(shape, torch.float32, seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[name], other[name]) for name in one) and not torch.equal(
        one[ENCODER_WEIGHT], third[ENCODER_WEIGHT]
    )
    assert float(one[DECODER_WEIGHT].abs().max()) <= float(one[ENCODER_WEIGHT].max()) <= 0.1


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"topk": 2}, [1, 3]),
        ({"topk": 3}, [0, 1, 3]),  # of the three equal ones the first
        ({"topk": 0.5}, [0, 1, 3]),
        ({"topk": 100}, [0, 1, 2, 3, 4, 5]),
        ({"topk": None, "threshold": 0.25}, [1, 3]),
        ({"topk": 1, "threshold": 0.1}, [3]),
    ],
)
def test_which_entries_pruning_keeps(config: dict[str, Any], wanted: list[int]) -> None:
    importance = torch.tensor([0.1, 0.3, 0.1, 0.5, 0.1, 0.0])
    assert kept_entries(importance, PrePruneConfig(**config)).nonzero().flatten().tolist() == wanted


def test_a_threshold_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(BadGrid, match="No weight reaches"):
        kept_entries(torch.tensor([0.1]), PrePruneConfig(threshold=1.0))


def test_the_sample_holds_both_classes(examples: tuple[Example, ...]) -> None:
    chosen = sampled_examples(examples, 16, 0)
    assert [one.label for one in chosen].count(1) == 8 and chosen == sampled_examples(examples, 16, 0)
    assert len(sampled_examples(examples, 101, 0)) == 101, "more than there are: drawn again"
    assert chosen != sampled_examples(examples, 16, 1)
