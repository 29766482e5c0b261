"""`evaluate_encoder` of a trainer: which rows and neutral texts are encoded. Encodes nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gradiend_ui.engine.data.forms.choice import chosen_pair, training_rows
from gradiend_ui.engine.data.forms.sources import neutral_texts
from gradiend_ui.engine.data.forms.unified import UnifiedData
from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.errors import BadData
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.training.encoder_evaluation import Encoder, NeutralTexts, evaluate_encoder
from gradiend_ui.engine.training.encoder_metrics import encoder_metrics
from gradiend_ui.trainer.arguments import TrainingArguments
from gradiend_ui.trainer.config import TextPredictionConfig
from gradiend_ui.trainer.decoder_plan import Split
from gradiend_ui.trainer.training import BALANCE_OF

TEST = "test"


def encode_rows(
    model: ModelWithGradiend,
    data: UnifiedData,
    args: TrainingArguments,
    config: TextPredictionConfig,
    *,
    split: Split = "test",
    source: str | None = None,
    max_size: int | None = None,
    neutral: pd.DataFrame | Sequence[str] | None = None,
    include_other_classes: bool | None = None,
) -> dict[str, Any]:
    """The encoder's measures in the reference's shape, with the table of all encoded rows as "encoder_df".

    None: as it is configured. Texts of the test split are encoded with another word masked, too, where that split is
    among those asked for, as the reference does. Raises BadData when a correlation is not defined.
    """
    pair = chosen_pair(data, "all", None)
    kind = source or model.source
    if kind not in BALANCE_OF:
        raise BadData(f"source must be one of {', '.join(BALANCE_OF)}, not {source!r}.")
    size = args.encoder_eval_max_size if max_size is None else max_size

    def chosen(wanted: Split) -> tuple[EvalRow, ...]:
        return training_rows(
            data,
            wanted,
            pair=pair,
            max_size=size,
            balance=BALANCE_OF[kind] if args.encoder_eval_balance else None,
            seed=args.seed,
            add_identity=args.add_identity_for_other_classes,
            include_other_classes=_first_given(include_other_classes, args.include_other_classes),
        )

    rows = chosen(split)
    masked_anew = chosen(TEST) if TEST in {row.split for row in rows} else ()
    return evaluate_encoder(
        Encoder(model.base, model.mapped, model.gradiend, kind),
        rows,
        pair,
        source=source,
        balance=args.encoder_eval_balance,
        seed=args.seed or 0,
        neutral=NeutralTexts(masked_anew, _neutral_texts(config, neutral), _excluded_words(data, config), size),
        return_df=True,
    )


def _first_given(given: bool | None, configured: bool) -> bool:
    return configured if given is None else given


def _neutral_texts(config: TextPredictionConfig, given: pd.DataFrame | Sequence[str] | None) -> tuple[str, ...]:
    given = config.eval_neutral_data if given is None else given
    if given is None:
        return ()
    if isinstance(given, str):
        return neutral_texts(given, max_rows=config.eval_neutral_max_rows)
    return read_neutral(given, keep_empty=True)


def _excluded_words(data: UnifiedData, config: TextPredictionConfig) -> list[str]:
    """What makes a text not neutral: every word of the rows, and those that are configured."""
    words = {word for row in data.rows for word in (row.label, row.alternative)}
    return sorted(words | set(config.eval_neutral_additional_excluded_words or ()))


def measure_table(data: UnifiedData, table: pd.DataFrame | Mapping[str, Any]) -> dict[str, Any]:
    """The measures of a table, or result, of an earlier call, as it is."""
    pair = chosen_pair(data, "all", None)
    frame = table["encoder_df"] if isinstance(table, Mapping) else table
    if not isinstance(frame, pd.DataFrame):
        raise BadData("encoder_df must be the frame, or the result, of evaluate_encoder(return_df=True).")
    return {**encoder_metrics(frame, pair), "encoder_df": frame}
