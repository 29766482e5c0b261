"""`evaluate_encoder`: how well a trained encoder tells the classes apart, on rows and on neutral texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gradiend_ui.engine.autoencoder import Autoencoder
from gradiend_ui.engine.base_model import BaseModel
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.eval_data import EvalRow, capped_neutral
from gradiend_ui.engine.param_map import MappedParameter
from gradiend_ui.engine.training.batches import Example, Pair, evaluation_order, examples_of
from gradiend_ui.engine.training.encoder_metrics import encoder_metrics
from gradiend_ui.engine.training.encoding import RowEncoder, encoded_table
from gradiend_ui.engine.training.gradients import FACTUAL, GradientReader
from gradiend_ui.engine.training.neutral_rows import filled_in, neutral_examples

TRAINING_MASKED, DATASET = "neutral_training_masked", "neutral_dataset"


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
    return encoded_table(examples, values, FACTUAL, kind).assign(neutral_variant=kind, eval_group=None, data_split=None)
