"""A small masked language model cut out of a large encoder: fewer layers, feed-forward neurons and word pieces.

Knows weights and their names; knows no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel, BertConfig, BertForMaskedLM

from assets.demo.build.recipe import Recipe


def cut(first_model: Path, kept_ids: Sequence[int], recipe: Recipe) -> BertForMaskedLM:
    """The untrained demo model: the recipe's layers of the first model, the feed-forward neurons with the largest
    weights, the embeddings of `kept_ids`. The head's dense layer starts as identity, its decoder is tied to them."""
    large = BertConfig.from_pretrained(first_model)
    config = BertConfig(
        vocab_size=len(kept_ids),
        hidden_size=large.hidden_size,
        num_hidden_layers=len(recipe.layers),
        num_attention_heads=large.num_attention_heads,
        intermediate_size=recipe.feed_forward,
        max_position_embeddings=recipe.positions,
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.dropout,
        pad_token_id=0,
    )
    model = BertForMaskedLM._from_config(config, attn_implementation="eager")
    first = AutoModel.from_pretrained(first_model, dtype=torch.float32).state_dict()
    neurons = [strongest_neurons(first, layer, recipe.feed_forward) for layer in recipe.layers]
    with torch.no_grad():
        for name, weight in model.bert.state_dict().items():
            taken = _taken(name, first, recipe, neurons, torch.tensor(kept_ids))
            if taken is not None:
                weight.copy_(taken)
        model.cls.predictions.transform.dense.weight.copy_(torch.eye(large.hidden_size))
        model.cls.predictions.transform.dense.bias.zero_()
    model.tie_weights()
    return model


def strongest_neurons(first: Mapping[str, Tensor], layer: int, count: int) -> Tensor:
    """Indices, ascending, of the `count` neurons of a layer with the largest |w_in| |w_out|."""
    into = first[f"encoder.layer.{layer}.intermediate.dense.weight"].norm(dim=1)
    out = first[f"encoder.layer.{layer}.output.dense.weight"].norm(dim=0)
    indices: Tensor = (into * out).topk(count).indices.sort().values
    return indices


def _taken(
    name: str, first: Mapping[str, Tensor], recipe: Recipe, neurons: Sequence[Tensor], kept_ids: Tensor
) -> Tensor | None:
    """What the first model has for a weight of the new one; None where it has nothing."""
    if name == "embeddings.word_embeddings.weight":
        return first[name][kept_ids]
    if name == "embeddings.position_embeddings.weight":
        return first[name][: recipe.positions]
    if not name.startswith("encoder.layer."):
        return first.get(name)
    _, _, number, *rest = name.split(".")
    weight = first[".".join(("encoder.layer", str(recipe.layers[int(number)]), *rest))]
    kept = neurons[int(number)]
    if rest[0] == "intermediate":
        return weight[kept]
    return weight[:, kept] if rest[:2] == ["output", "dense"] and weight.ndim == 2 else weight
