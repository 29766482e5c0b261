"""`TextPredictionConfig`: a trainer's data and evaluation settings, named as in the `gradiend` package.

A plain record that scripts may still change after making it; `form()` checks the data side and hands the engine a
frozen value, and `data_of` reads the data with its splits. Knows no model.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from gradiend_ui.engine.data.forms.form import HELDOUT, DataForm, GroupKey, Ratios, split_ratios
from gradiend_ui.engine.data.forms.sources import read_tables
from gradiend_ui.engine.data.forms.unified import UnifiedData, unify
from gradiend_ui.engine.data.rows import MASK
from gradiend_ui.engine.errors import BadData, items_of, refusing_class, shown
from gradiend_ui.engine.scoring.own_tables import tell_left_out, tell_notes, tell_other_classes
from gradiend_ui.trainer.arguments import TrainingArguments

log = logging.getLogger(__name__)
DEFAULT_SPLIT_COLUMN = "split"
REQUIRED = ("masked_col", "label_col", "label_class_col")
COLUMNS = (*REQUIRED, "alternative_col", "alternative_class_col", "split_col", "split_group_col")


@refusing_class()
@dataclass
class TextPredictionConfig:
    """What a trainer reads and scores. Columns, classes and splits: see the engine's `DataForm`.

    img_format, img_dpi: of saved figures; run_id: subfolder of the experiment
    data: a frame, {class: frame}, records, a csv / tsv / jsonl / json / parquet file, a folder with training.csv, or
        the id of a Hub data set with a subset per class; hf_dataset (with hf_subset, hf_splits): one with all
        classes in a table. dataset_trust_remote_code: only None or False is accepted
    target_classes: class order, the first at +1 (None: the merged classes or the data's two); all_classes: of the data
    split_col: a column, None (splits drawn by row) or "heldout" (whole words held out); split_group_col,
        split_group_key: what "heldout" keeps together; split_ratios: (train, validation, test) or a mapping
    use_class_names_as_columns: changes nothing, as in the reference: a column named like a class is always used
    max_counterfactuals_per_sentence, random_state: draws of tokens of the other class where the data names none
        (random_state None: the trainer's seed)
    decoder_eval_targets: {class: tokens}, "label" (row-wise) or None (from the data)
    decoder_eval_restrict_to_target_classes: False scores every class of decoder_eval_targets
    decoder_eval_prob_on_other_class: a class's probability is read on the other class's rows
    decoder_eval_export_row_wise_csv: write decoder_row_wise_scores.csv; decoder_eval_ignore_tokens: left out of the LMS
    decoder_eval_lms_max_samples: at most so many texts for the LMS
    class_merge_map: {merged class: base classes}; class_merge_transition_groups: base classes that may be paired
    eval_neutral_data: texts as list, frame, file or Hub id; eval_neutral_max_rows caps the last;
        eval_neutral_additional_excluded_words: never masked in neutral texts
    """

    img_format: str = "png"
    img_dpi: int | None = None
    run_id: str | None = None
    data: Any = None
    hf_dataset: str | None = None
    hf_subset: str | list[str] | None = None
    hf_splits: list[str] | None = None
    dataset_trust_remote_code: bool | None = None
    target_classes: Sequence[str] | None = None
    all_classes: Sequence[str] | None = None
    masked_col: str = "masked"
    label_col: str = "label"
    label_class_col: str = "label_class"
    mask_placeholder: str = MASK
    split_col: str | None = "split"
    split_group_col: str | None = None
    split_group_key: GroupKey = None
    split_ratios: Ratios = None
    split_train_ratio: float = 0.8
    split_val_ratio: float = 0.1
    split_test_ratio: float = 0.1
    alternative_col: str | None = "alternative"
    alternative_class_col: str | None = "alternative_class"
    use_class_names_as_columns: bool = True
    max_counterfactuals_per_sentence: int = 1
    random_state: int | None = None
    n_features: int = 1
    decoder_eval_targets: Mapping[str, Sequence[str]] | str | None = None
    decoder_eval_restrict_to_target_classes: bool = True
    decoder_eval_prob_on_other_class: bool = True
    decoder_eval_export_row_wise_csv: bool = False
    decoder_eval_ignore_tokens: Sequence[str] | None = None
    decoder_eval_lms_max_samples: int | None = None
    class_merge_map: Mapping[str, Sequence[str]] | None = None
    class_merge_transition_groups: Sequence[Sequence[str]] | None = None
    eval_neutral_data: Any = None
    eval_neutral_additional_excluded_words: Sequence[str] | None = None
    eval_neutral_max_rows: int | None = None

    def __post_init__(self) -> None:
        """Resolve `split_ratios` into the three single ratios. Raises BadData or NotAllowed."""
        self._check_kinds()
        ratios = split_ratios(self.split_ratios, self.split_train_ratio, self.split_val_ratio, self.split_test_ratio)
        self.split_train_ratio, self.split_val_ratio, self.split_test_ratio = ratios
        for name in ("n_features", "max_counterfactuals_per_sentence"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
                raise BadData(f"{name} must be a whole number from 1, not {shown(value)}.")
            setattr(self, name, int(value))
        for name in ("decoder_eval_lms_max_samples", "eval_neutral_max_rows"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
                raise BadData(f"{name} must be a whole number from 1 or None, not {shown(value)}.")
            setattr(self, name, None if value is None else int(value))
        for name in (
            "decoder_eval_restrict_to_target_classes",
            "decoder_eval_prob_on_other_class",
            "decoder_eval_export_row_wise_csv",
        ):
            if not isinstance(getattr(self, name), bool):
                raise BadData(f"{name} must be True or False, not {getattr(self, name)!r}.")
        if not isinstance(self.class_merge_map, (Mapping, type(None))):
            raise BadData(f"class_merge_map must be {{merged class: [base classes]}}, not {self.class_merge_map!r}.")
        for name in ("decoder_eval_ignore_tokens", "eval_neutral_additional_excluded_words"):
            words = getattr(self, name)
            told = () if words is None else items_of(words)
            if told is None or not all(isinstance(word, str) for word in told):
                raise BadData(f"{name} must be a list of words, not {shown(words)}.")
            setattr(self, name, None if words is None else told)
        self.form()

    def _check_kinds(self) -> None:
        single = {name: getattr(self, name) for name in ("split_train_ratio", "split_val_ratio", "split_test_ratio")}
        for name, ratio in single.items():
            if isinstance(ratio, bool) or not isinstance(ratio, int | float):
                raise BadData(f"{name} must be a share from 0 to 1, not {ratio!r}.")
        if self.split_ratios is not None and not isinstance(self.split_ratios, Iterable):
            raise BadData(f"split_ratios must be three shares or a mapping of them, not {self.split_ratios!r}.")
        for name in COLUMNS:
            column = getattr(self, name)
            if not isinstance(column, (str, type(None))) or (column is None and name in REQUIRED):
                raise BadData(f"{name} must be the name of a column, not {shown(column)}.")
        if not isinstance(self.mask_placeholder, str):
            raise BadData(f"mask_placeholder must be a text, such as '[MASK]', not {self.mask_placeholder!r}.")
        merged = self.class_merge_map
        if isinstance(merged, Mapping) and not all(isinstance(bases, Iterable) for bases in merged.values()):
            raise BadData(f"class_merge_map must be {{merged class: [base classes]}}, not {merged!r}.")

    def form(self, seed: int = 0, mask_placeholder: str = MASK) -> DataForm:
        """How the data is to be read. seed: of drawn splits, and of drawn tokens without a random_state;
        mask_placeholder: from the training arguments, where it may be given instead.

        Raises BadData when both placeholders are given and differ, or a value cannot be.
        """
        if MASK not in (self.mask_placeholder, mask_placeholder) and self.mask_placeholder != mask_placeholder:
            raise BadData(
                f"mask_placeholder is {self.mask_placeholder!r} in the config and {mask_placeholder!r} in the training "
                "arguments: give it once."
            )
        merged = self.class_merge_transition_groups
        return DataForm(
            masked_col=self.masked_col,
            label_col=self.label_col,
            label_class_col=self.label_class_col,
            alternative_col=self.alternative_col,
            alternative_class_col=self.alternative_class_col,
            mask_placeholder=mask_placeholder if self.mask_placeholder == MASK else self.mask_placeholder,
            split_col=self.split_col,
            split_group_col=self.split_group_col,
            split_group_key=self.split_group_key,
            ratios=split_ratios(self.split_ratios, self.split_train_ratio, self.split_val_ratio, self.split_test_ratio),
            split_seed=seed,
            target_classes=_names("target_classes", self.target_classes),
            all_classes=_names("all_classes", self.all_classes),
            class_merge_map=self.class_merge_map or {},
            class_merge_transition_groups=() if merged is None else merged,
            max_counterfactuals_per_sentence=self.max_counterfactuals_per_sentence,
            counterfactual_seed=seed if self.random_state is None else self.random_state,
            hf_dataset=self.hf_dataset,
            hf_subset=self.hf_subset,
            hf_splits=self.hf_splits,
            trust_remote_code=self.dataset_trust_remote_code,
        )


def _names(setting: str, names: Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(names, str):
        raise BadData(f"{setting} is the text {names!r}; give a list of class names, for example [{names!r}].")
    told = items_of(names)
    if names is not None and told is None:
        raise BadData(f"{setting} must be a list of class names, not {shown(names)}.")
    if isinstance(names, (set, frozenset)):
        raise BadData(f"{setting} is a set, which has no order: give a list, the class encoded as +1 first.")
    return tuple(map(str, told)) or None if told is not None else None


def config_of(given: Mapping[str, Any]) -> TextPredictionConfig:
    """A configuration of those of the given values that are its fields; None is a field's default, but of split_col."""
    own = {name: value for name, value in given.items() if name in TextPredictionConfig.__dataclass_fields__}
    return TextPredictionConfig(**{key: value for key, value in own.items() if value is not None or key == "split_col"})


def data_of(config: TextPredictionConfig, args: TrainingArguments, *, is_trained: bool) -> UnifiedData:
    """The data with its splits; without a split column they are drawn, or, where a trained GRADIEND was given to be
    evaluated, every row is of the split "test". Logs which rows are left out, and why."""
    form = config.form(args.seed or 0, args.mask_placeholder)
    found = _split_data(config, form, is_trained=is_trained)
    tell_left_out("The data", found.rejected, len(found.loaded))
    _tell_without_pair(config, form, found)
    tell_other_classes(found.loaded, found.target_classes, "that are no target classes")
    tell_notes("The data", found.notes)
    return found


def _tell_without_pair(config: TextPredictionConfig, form: DataForm, found: UnifiedData) -> None:
    """Log how many rows of the tables stand in no pair of classes, such as those of a class that is no target."""
    tables = read_tables(config.data, form)
    total = sum(map(len, tables.values())) if isinstance(tables, dict) else len(tables)
    kept = [row for rows in (found.loaded, *found.neutral_rows.values()) for row in rows]
    seen = {row.number for row in kept} | {row.number for row in found.rejected}
    if len(seen) < total:
        log.warning(
            "The data: %d of %d rows stand in no pair of classes and are left out: their class is no target class, or "
            "they name no word of the other one.",
            total - len(seen),
            total,
        )


def _split_data(config: TextPredictionConfig, form: DataForm, *, is_trained: bool) -> UnifiedData:
    if form.split_col in (None, HELDOUT) or _has_column(config, form):
        return unify(config.data, form)
    if form.split_col != DEFAULT_SPLIT_COLUMN:
        raise BadData(
            f"There is no column {form.split_col!r} for the splits: name one that the data has, or give "
            "split_col=None to have splits drawn."
        )
    if is_trained:
        log.warning("The data has no split column: every row counts as 'test', also those trained on.")
        found = unify(config.data, form)
        return replace(found, rows=tuple(replace(row, split="test") for row in found.rows))
    log.warning("The data has no split column: the rows are split into train, validation and test by the seed.")
    return unify(config.data, replace(form, split_col=None))


def _has_column(config: TextPredictionConfig, form: DataForm) -> bool:
    tables = read_tables(config.data, form)
    frames = tables.values() if isinstance(tables, dict) else (tables,)
    return any(form.split_col in frame.columns for frame in frames)
