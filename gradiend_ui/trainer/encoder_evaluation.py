"""How well a trainer's encoder tells the classes apart: `evaluate_encoder` and its figure.

Chooses which rows and neutral texts are encoded; encodes nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradiend_ui.engine.data.forms.choice import chosen_pair, training_rows
from gradiend_ui.engine.data.forms.sources import neutral_texts
from gradiend_ui.engine.data.neutral_texts import read_neutral
from gradiend_ui.engine.errors import BadBase, BadData
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.training.encoder_evaluation import Encoder, NeutralTexts, evaluate_encoder
from gradiend_ui.engine.training.encoder_metrics import encoder_metrics
from gradiend_ui.trainer.arguments import check_whole
from gradiend_ui.trainer.decoder_plan import Split
from gradiend_ui.trainer.training import BALANCE_OF, Training


class EncoderEvaluation(Training):
    """The encoder's part of a trainer."""

    def evaluate_encoder(
        self,
        model_with_gradiend: ModelWithGradiend | None = None,
        encoder_df: pd.DataFrame | Mapping[str, Any] | None = None,
        split: Split = "test",
        source: str | None = None,
        max_size: int | None = None,
        neutral_data_df: pd.DataFrame | Sequence[str] | None = None,
        use_cache: bool | None = None,
        return_df: bool = False,
        plot: bool = False,
        plot_kwargs: Mapping[str, Any] | None = None,
        include_other_classes: bool | None = None,
        device: Any = None,
    ) -> dict[str, Any]:
        """How well the encoder tells the classes apart, in the reference's shape.

        Returns {"correlation" in [-1, 1] between encoded values and labels (+1 and -1 for the pair), "mean_by_class"
        {label: mean encoded value, with tanh in [-1, 1]}, "mean_by_feature_class" {class: mean}, "all_data",
        "training_only" and "target_classes_only" {"correlation", "accuracy" in [0, 1]}, "n_samples", spreads, ...},
        with "encoder_df" after return_df=True: a row per text, its value in the column `encoded`.

        encoder_df: a table of an earlier call (`return_df=True`), measured without encoding again.
        split: one, several or "all"; source: gradients that are encoded, None as in the training.
        max_size: at most so many rows per class; neutral_data_df: texts encoded as neutral, None the configured ones.
        use_cache: accepted for scripts of the reference; nothing is taken from files here.
        include_other_classes: also rows of classes outside the pair, with label 0. plot: draw
        `plot_encoder_distributions` too, with plot_kwargs. device: where to encode.
        Raises BadData when the rows do not define a correlation or a split has none, NotFound before any training.
        """
        check_whole("max_size", max_size, 1, optional=True)
        check_split(split)
        if not isinstance(model_with_gradiend, (ModelWithGradiend, type(None))):
            raise BadBase("model_with_gradiend must be a ModelWithGradiend; a folder is opened by load_model().")
        model = model_with_gradiend or self.get_model()
        if device is not None:
            model.to(device)
        if encoder_df is not None:
            result = _measured(encoder_df, chosen_pair(self._unified, "all", None))
        else:
            result = self._encoded(model, split, source, max_size, neutral_data_df, include_other_classes)
        if plot:
            self.plot_encoder_distributions(result["encoder_df"], **dict(plot_kwargs or {}))
        return {name: value for name, value in result.items() if return_df or name != "encoder_df"}

    def _encoded(
        self,
        model: ModelWithGradiend,
        split: Split,
        source: str | None,
        max_size: int | None,
        neutral: pd.DataFrame | Sequence[str] | None,
        include_other_classes: bool | None,
    ) -> dict[str, Any]:
        """The measures of rows encoded now, with the table of all of them as "encoder_df"; None as it is configured."""
        data, args = self._unified, self.training_args
        pair = chosen_pair(data, "all", None)
        kind = source or model.source
        if kind not in BALANCE_OF:
            raise BadData(f"source must be one of {', '.join(BALANCE_OF)}, not {source!r}.")
        size = args.encoder_eval_max_size if max_size is None else max_size
        rows = training_rows(
            data,
            split,
            pair=pair,
            max_size=size,
            balance=BALANCE_OF[kind] if args.encoder_eval_balance else None,
            seed=args.seed,
            add_identity=args.add_identity_for_other_classes,
            include_other_classes=args.include_other_classes
            if include_other_classes is None
            else include_other_classes,
        )
        return evaluate_encoder(
            Encoder(model.base, model.mapped, model.gradiend, kind),
            rows,
            pair,
            source=source,
            balance=args.encoder_eval_balance,
            seed=args.seed or 0,
            neutral=NeutralTexts(rows, self._neutral_texts(neutral), self._excluded_words(), size),
            return_df=True,
        )

    def _neutral_texts(self, given: pd.DataFrame | Sequence[str] | None) -> tuple[str, ...]:
        given = self.config.eval_neutral_data if given is None else given
        if given is None:
            return ()
        if isinstance(given, str):
            return neutral_texts(given, max_rows=self.config.eval_neutral_max_rows)
        return read_neutral(given, keep_empty=True)

    def _excluded_words(self) -> list[str]:
        """What makes a text not neutral: every word of the rows, and those that are configured."""
        words = {word for row in self._unified.rows for word in (row.label, row.alternative)}
        return sorted(words | set(self.config.eval_neutral_additional_excluded_words or ()))

    def plot_encoder_distributions(
        self,
        encoder_df: pd.DataFrame | None = None,
        *,
        output: str | Path | None = None,
        show: bool = False,
        title: str | bool = True,
        target_and_neutral_only: bool = True,
        figsize: tuple[float, float] | None = None,
        img_format: str | None = None,
        dpi: int | None = None,
        highlight_non_convergence: bool | None = None,
        return_fig_ax: bool = False,
        theme: str = "light",
    ) -> Any:
        """Where the encoder puts the texts of each class: a violin per class over its values, in [-1, 1] with tanh.

        encoder_df: of `evaluate_encoder(return_df=True)`; None encodes the test split now.
        target_and_neutral_only: leave out rows of classes that are no targets. The other arguments and the return
        value: as for `plot_training_convergence`.
        Raises BadData for a table without encoded values, BadName for an unusable file.
        """
        from gradiend_ui.trainer.figures import draw_encoder

        table = self.evaluate_encoder(return_df=True)["encoder_df"] if encoder_df is None else encoder_df
        options: dict[str, Any] = {
            "classes": self.target_classes,
            "target_and_neutral_only": target_and_neutral_only,
            "title": title,
            "figsize": figsize,
            "theme": theme,
        }
        return draw_encoder(table, options, self._destination(output, img_format, dpi, show, return_fig_ax))


def check_split(split: object) -> None:
    if not isinstance(split, str) and not (isinstance(split, Sequence) and all(isinstance(s, str) for s in split)):
        raise BadData(f"split must be the name of a split, several, or 'all', not {split!r}.")


def _measured(table: pd.DataFrame | Mapping[str, Any], pair: tuple[str, str]) -> dict[str, Any]:
    """The measures of a table, or result, of an earlier call, as it is."""
    frame = table["encoder_df"] if isinstance(table, Mapping) else table
    if not isinstance(frame, pd.DataFrame):
        raise BadData("encoder_df must be the frame, or the result, of evaluate_encoder(return_df=True).")
    return {**encoder_metrics(frame, pair), "encoder_df": frame}
