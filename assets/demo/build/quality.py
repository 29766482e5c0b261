"""What the base model and its rewrites say: probabilities at the masks of sentences and of rows. Knows no step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from assets.demo.build.words import OCCUPATIONS

BATCH = 32
OCCUPATION_SENTENCE = "the {} said that [MASK] was tired."
TOP = 5
SENTENCES = (
    "the engineer said that [MASK] would fix the computer.",
    "the nurse said that [MASK] was tired.",
    "the doctor told us that [MASK] had seen it before.",
    "the secretary said that [MASK] would call back.",
    "the soldier wrote that [MASK] missed home.",
    "mr. smith opened the door and [MASK] came in.",
    "mrs. smith opened the door and [MASK] came in.",
    "my brother is ill, so [MASK] will not come.",
    "john went to the market because [MASK] needed bread.",
    "we waited for the train until [MASK] came.",
    "it was a dark and stormy [MASK].",
    "paris is the [MASK] of france.",
)
"""A dozen: occupations, people whose gender is told, other pronouns, and two that a rewrite should leave alone."""


def at_mask(model: Any, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """Probabilities (texts, vocabulary) at the only mask of each text."""
    found = []
    model.eval()
    with torch.no_grad():
        for start in range(0, len(texts), BATCH):
            batch = tokenizer(list(texts[start : start + BATCH]), return_tensors="pt", padding=True)
            rows, places = (batch["input_ids"] == tokenizer.mask_token_id).nonzero(as_tuple=True)
            found.append(model(**batch).logits[rows, places].float().softmax(-1))
    return torch.cat(found)


def right_pronoun(model: Any, tokenizer: Any, rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """{"books" or "templates": {class: share of rows whose own word is likelier than the other}}."""
    probs = at_mask(model, tokenizer, rows["masked"].tolist())
    numbers = torch.arange(len(rows))
    own = probs[numbers, torch.tensor(tokenizer.convert_tokens_to_ids(rows["label"].tolist()))]
    other = probs[numbers, torch.tensor(tokenizer.convert_tokens_to_ids(rows["alternative"].tolist()))]
    kind = rows["source"].map(lambda source: "templates" if source == "template" else "books")
    table = pd.DataFrame({"kind": kind, "name": rows["label_class"], "right": (own > other).numpy()})
    means = table.groupby(["kind", "name"])["right"].mean()
    found: dict[str, dict[str, float]] = {}
    for (where, name), share in means.items():
        found.setdefault(str(where), {})[str(name)] = float(share)
    return found


def occupations(models: Mapping[str, Any], tokenizer: Any) -> list[dict[str, Any]]:
    """One entry per occupation: its word and, for each model, P(he) and P(she) in `OCCUPATION_SENTENCE`."""
    texts = [OCCUPATION_SENTENCE.format(word) for word in OCCUPATIONS]
    he, she = tokenizer.convert_tokens_to_ids(["he", "she"])
    said = {name: at_mask(model, tokenizer, texts) for name, model in models.items()}
    return [
        {"word": word, **{name: {"he": float(p[k, he]), "she": float(p[k, she])} for name, p in said.items()}}
        for k, word in enumerate(OCCUPATIONS)
    ]


def top_tokens(models: Mapping[str, Any], tokenizer: Any, sentences: Sequence[str] = SENTENCES) -> list[dict[str, Any]]:
    """One entry per sentence: the five likeliest tokens of each model, with their probabilities."""
    said = {name: at_mask(model, tokenizer, sentences).topk(TOP) for name, model in models.items()}
    entries = []
    for k, sentence in enumerate(sentences):
        entry: dict[str, Any] = {"sentence": sentence}
        for name, top in said.items():
            words = tokenizer.convert_ids_to_tokens(top.indices[k].tolist())
            entry[name] = [[word, float(value)] for word, value in zip(words, top.values[k], strict=True)]
        entries.append(entry)
    return entries
