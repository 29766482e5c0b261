"""`evaluate_encoder`: how well a trained encoder tells the classes apart, on rows and on neutral texts.

Each row's gradient goes through the encoder; the encodings are a table in the reference's layout. A neutral row is a
text in which a word that has nothing to do with the classes is masked: it has label 0, and an encoder that encodes the
classes only gives it a value near 0. The draw is seeded and private. Knows gradients and an encoder; what the encodings
measure is told in `encoder_metrics`. Rule of which tokens may be masked: `gradiend` 0.2.3.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel
from gradiend_ui.engine.base.objectives import CAUSAL
from gradiend_ui.engine.checkpoint.autoencoder import Autoencoder
from gradiend_ui.engine.data.neutral_texts import capped_neutral
from gradiend_ui.engine.data.rows import MASK, EvalRow
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.training.batches import Example, Pair, evaluation_order, examples_of
from gradiend_ui.engine.training.encoder_metrics import NEUTRAL_TYPES, encoder_metrics
from gradiend_ui.engine.training.gradients import GradientReader
from gradiend_ui.engine.values import ALTERNATIVE, DIFF, FACTUAL
from gradiend_ui.engine.weights.parameter_map import MappedParameter

NEUTRAL = "neutral"
LEAST_PREFIX = 5
"""Tokens that a causal model sees at least before the one it is asked for."""


def neutral_examples(base: BaseModel, texts: Sequence[str], excluded: Iterable[str], seed: int) -> list[Example]:
    """One example per text that has a token to mask, in order; both words of a row are that token.

    excluded: words that must not occur in the masked token, whatever their case.
    """
    generator = random.Random(seed)
    never = sorted({word.lower() for word in excluded if word})
    found: list[Example] = []
    for number, text in enumerate(texts):
        drawn = _masked(base, text, never, generator)
        if drawn is not None:
            masked, token = drawn
            found.append(Example(EvalRow(number, masked, token, NEUTRAL, token, NEUTRAL, ""), 0, 0))
    return found


def filled_in(examples: Iterable[Example]) -> list[str]:
    """The examples' texts with their factual words in place."""
    return [example.row.masked.replace(MASK, example.row.label) for example in examples]


def _masked(base: BaseModel, text: str, never: Sequence[str], generator: random.Random) -> tuple[str, str] | None:
    """(masked text, masked token); None when no token may be masked. For a causal model the text ends at the mask."""
    tokenizer = base.tokenizer
    tokens: list[str] = tokenizer.tokenize(text)
    causal = base.kind == CAUSAL or tokenizer.mask_token is None
    places = [
        place for place in range(LEAST_PREFIX if causal else 0, len(tokens)) if _may_be_masked(tokens[place], never)
    ]
    if not places:
        return None
    place = generator.choice(places)
    token = tokens[place]
    if not causal:
        return tokenizer.convert_tokens_to_string([*tokens[:place], MASK, *tokens[place + 1 :]]), token
    prefix = tokenizer.convert_tokens_to_string(tokens[:place])
    spaced = tokenizer.convert_tokens_to_string([token])[:1] in (" ", "\t", "\u2581")
    return f"{prefix} {MASK}" if spaced else f"{prefix}{MASK}", token


def _may_be_masked(token: str, never: Sequence[str]) -> bool:
    bare = token.strip().lstrip("#").lstrip("Ġ").lstrip("\u2581").strip()
    special = token.startswith("[") and token.endswith("]")
    return bool(bare) and not special and not any(word in token.lower() for word in never)


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
        "factual_id": row.label_class,
        "counterfactual_id": row.alternative_class,
        "transition_id": example.transition,
        "input_type": source,
        "input_text": row.masked,
        "masked": row.masked,
    }


TRAINING_MASKED, DATASET = NEUTRAL_TYPES
NEUTRAL_SPLIT = "test"
"""The split that neutral rows are counted to, as in the reference."""


@dataclass(frozen=True)
class NeutralTexts:
    """Which neutral rows are encoded beside those of the data.

    from_rows: the texts of these rows with another word masked (the reference takes the test split's).
    texts: a neutral set of its own. excluded: words never masked. max_size: at most so many of each.
    """

    from_rows: Sequence[EvalRow] = ()
    texts: Sequence[str] = ()
    excluded: Iterable[str] = ()
    max_size: int | None = None


@dataclass(frozen=True)
class Encoder:
    """A trained GRADIEND as the evaluation needs it. source: whose gradients it was trained on."""

    base: BaseModel
    mapped: tuple[MappedParameter, ...]
    gradiend: Autoencoder
    source: str


def evaluate_encoder(
    encoder: Encoder,
    rows: Sequence[EvalRow],
    pair: Pair,
    *,
    source: str | None = None,
    balance: bool = True,
    seed: int = 0,
    neutral: NeutralTexts | None = None,
    return_df: bool = False,
) -> dict[str, Any]:
    """Encode `rows` and measure: correlation, accuracy, means per class, ... in the reference's shape.

    rows: of the split that is asked for, with their caps applied. source: None as in the training.
    balance: the classes take turns and weigh the same. return_df: add the table of all encoded rows as "encoder_df".
    Raises BadData when a correlation is not defined on these rows.
    """
    table = encode_rows(encoder, rows, pair, source=source, balance=balance, seed=seed, neutral=neutral)
    result = encoder_metrics(table, pair)
    return {**result, "encoder_df": table} if return_df else result


def encode_rows(
    encoder: Encoder,
    rows: Sequence[EvalRow],
    pair: Pair,
    *,
    source: str | None = None,
    balance: bool = True,
    seed: int = 0,
    neutral: NeutralTexts | None = None,
) -> pd.DataFrame:
    """The table `evaluate_encoder` measures: one row per encoded text, see `encoded_table`."""
    if not rows:
        raise BadData("There is no row to encode: choose another split or give rows of both classes.")
    kind = source or encoder.source
    examples = evaluation_order(examples_of(rows, pair), kind, balance, seed)
    reader = GradientReader(encoder.base, encoder.mapped, examples[0])
    tables = [RowEncoder(reader, examples, kind).table(encoder.gradiend)]
    if neutral is not None:
        tables += _neutral_tables(encoder, reader, neutral, pair, kind, balance, seed)
    return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]


def _neutral_tables(
    encoder: Encoder, reader: GradientReader, neutral: NeutralTexts, pair: Pair, source: str, balance: bool, seed: int
) -> list[pd.DataFrame]:
    found: list[pd.DataFrame] = []
    if neutral.from_rows:
        own = evaluation_order(examples_of(neutral.from_rows, pair), source, balance, seed)
        words = {word.strip() for one in own for word in (one.row.label, one.row.alternative)}
        texts = filled_in(own[: neutral.max_size])
        examples = neutral_examples(encoder.base, texts, {*neutral.excluded, *words}, seed)
        found.append(_neutral_table(encoder, reader, examples, TRAINING_MASKED))
    if neutral.texts:
        texts = list(capped_neutral(neutral.texts, neutral.max_size, seed))
        examples = neutral_examples(encoder.base, texts, neutral.excluded, seed)
        found.append(_neutral_table(encoder, reader, examples, DATASET))
    return [table for table in found if len(table)]


def _neutral_table(encoder: Encoder, reader: GradientReader, examples: Sequence[Example], kind: str) -> pd.DataFrame:
    values = RowEncoder(reader, examples, FACTUAL).encode(encoder.gradiend)
    table = encoded_table(examples, values, FACTUAL, kind)
    return table.assign(neutral_variant=kind, eval_group=None, data_split=NEUTRAL_SPLIT)
