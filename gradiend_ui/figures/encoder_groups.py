"""Which encoded rows stand together in a figure of an encoder, what they are called, and in which order they come.

From the frame that `evaluate_encoder(return_df=True)` returns or an encoded_values csv holds. Draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from gradiend_ui.engine.errors import BadData, listed, shown
from gradiend_ui.engine.values import SPLITS

TRAINING, NEUTRAL = "training", "neutral: "
CLASS_COLUMNS = ("source_id", "feature_class", "label_class")
ARROW = " -> "
SAMPLING_SEED = 42
"""Of the rows that a group of labels takes of each label, so many of each."""
NEUTRAL_ALIASES: Mapping[str, tuple[str, ...]] = {
    "neutral: training_masked": ("Neutral: Training masked", "Neutral (training masked)", "neutral_training_masked"),
    "neutral: dataset": ("Neutral: Neutral dataset", "Neutral (dataset)", "neutral_dataset"),
}
"""Names of the kinds of neutral rows that scripts of the reference give."""


@dataclass(frozen=True)
class Labels:
    """What a script says of the groups. A label is a class, "class -> class", or a kind of neutral rows.

    order: these come first; pairs: only these, two and two in one violin; class_names: {class: name to show};
    shown: {label: name to show}; groups: {new label: labels put together, so many rows of each};
    ignore_missing: labels in `groups` that the frame does not have are passed over.
    """

    order: Sequence[str] = ()
    pairs: Sequence[str] = ()
    class_names: Mapping[Any, str] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignore_missing: bool = False

    def __post_init__(self) -> None:
        """Raises BadData for a text where a list of labels is asked for, and a list where a mapping is."""
        for name, value in (("violin_order", self.order), ("paired_legend_labels", self.pairs)):
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise BadData(f"{name} must be a list of labels, not {shown(value)}.")
        mappings = {"class_label_mapping": self.class_names, "legend_name_mapping": self.shown}
        for name, given in {**mappings, "legend_group_mapping": self.groups}.items():
            if not isinstance(given, Mapping):
                raise BadData(f"{name} must be a mapping of labels, not {given!r}.")
        if not all(isinstance(members, Sequence) and not isinstance(members, str) for members in self.groups.values()):
            raise BadData(f"legend_group_mapping must map new labels to lists of labels, not {self.groups!r}.")

    @property
    def by_transition(self) -> bool:
        """Whether any label names both classes of a transition."""
        members = [label for group in self.groups.values() for label in group]
        return any(ARROW in str(label) for label in (*self.order, *self.pairs, *self.shown, *members))

    def name_of(self, label: str) -> str:
        """What is shown for a label of the frame."""
        names = {str(key): name for key, name in self.class_names.items()}
        own = ARROW.join(names.get(part, part) for part in label.split(ARROW))
        spelled = (label, own, *NEUTRAL_ALIASES.get(label, ()))
        return next((self.shown[one] for one in spelled if one in self.shown), own)

    def spelled_as(self, have: Sequence[str]) -> dict[str, str]:
        """{every spelling of a label: the frame's own}."""
        names = {str(key): name for key, name in self.class_names.items()}
        found: dict[str, str] = {}
        for label in have:
            own = ARROW.join(names.get(part, part) for part in label.split(ARROW))
            for spelling in (own, *NEUTRAL_ALIASES.get(label, ()), label):
                found[spelling] = label
        return found


def encoded_groups(
    frame: pd.DataFrame, classes: Sequence[str] = (), *, by_transition: bool = False
) -> dict[str, pd.Series]:
    """{class (or "class -> class"), or "neutral: <type>": its encoded values}; only `classes`, if any are given."""
    column = next((name for name in CLASS_COLUMNS if name in frame.columns), None)
    if column is None or "encoded" not in frame.columns:
        raise BadData(
            f"The encoder frame has the columns {', '.join(map(str, frame.columns)) or 'none'}; it needs "
            f"encoded and one of {', '.join(CLASS_COLUMNS)}."
        )
    frame = frame.dropna(subset=["encoded"])
    kinds = frame["type"].astype(str) if "type" in frame.columns else pd.Series(TRAINING, index=frame.index)
    own = frame[column].astype(str)
    kept = kinds.ne(TRAINING) | (own.isin(list(classes)) if classes else True)
    names = own
    if by_transition and "target_id" in frame.columns:
        other = frame["target_id"].astype(str)
        names = own.where(own == other, own + ARROW + other)
    labels = names.where(kinds == TRAINING, NEUTRAL + kinds.str.removeprefix("neutral_"))[kept]
    groups = {str(name): part["encoded"].astype(float) for name, part in frame[kept].groupby(labels, sort=False)}
    if not groups:
        raise BadData(f"The encoder frame holds no encoded value of {', '.join(classes) or 'any class'}.")
    return groups


def arranged(groups: Mapping[str, pd.Series], classes: Sequence[str], labels: Labels) -> dict[str, pd.Series]:
    """The groups put together and in order: as the labels say, else the classes in class order, then the others.

    Raises BadData for a label that no group has.
    """
    first = [name for name in classes if name in groups]
    found = {name: groups[name] for name in (*first, *(name for name in groups if name not in first))}
    if labels.groups:
        found = _put_together(found, labels)
    if labels.pairs:
        spelled = labels.spelled_as(list(found))
        missing = [label for label in labels.pairs if label not in spelled]
        if missing:
            raise BadData(f"paired_legend_labels names {missing[0]!r}; the encoder frame has {listed(list(found))}.")
        return {spelled[label]: found[spelled[label]] for label in labels.pairs}
    spelled = labels.spelled_as(list(found))
    leading = [spelled[label] for label in labels.order if label in spelled]
    return {name: found[name] for name in dict.fromkeys((*leading, *found))}


def _put_together(groups: Mapping[str, pd.Series], labels: Labels) -> dict[str, pd.Series]:
    spelled = labels.spelled_as(list(groups))
    member_of: dict[str, str] = {}
    for new, members in labels.groups.items():
        for label in members:
            if label in spelled:
                member_of[spelled[label]] = new
            elif not labels.ignore_missing:
                raise BadData(
                    f"legend_group_mapping[{new!r}] names {label!r}; the encoder frame has {listed(list(groups))}. "
                    "ignore_missing_legend_group_labels=True passes over labels that are not there."
                )
    least = {new: min(len(groups[name]) for name, own in member_of.items() if own == new) for new in member_of.values()}
    found: dict[str, list[pd.Series]] = {}
    for name, values in groups.items():
        group = member_of.get(name)
        part = values if group is None else values.sample(n=least[group], random_state=SAMPLING_SEED)
        found.setdefault(group or name, []).append(part)
    return {name: pd.concat(parts) for name, parts in found.items()}


def panels_of(frame: pd.DataFrame, *, include_neutral: bool, neutral_split: str) -> dict[str, pd.DataFrame]:
    """{split: its rows} where the data's rows are of several splits, else {"": all rows}.

    Of several splits neutral rows are left out unless `include_neutral` asks for them, and stand in `neutral_split`.
    """
    own = frame["type"].astype(str).eq(TRAINING) if "type" in frame.columns else pd.Series(True, index=frame.index)
    if "data_split" not in frame.columns or frame.loc[own, "data_split"].nunique(dropna=True) < 2:
        return {"": frame}
    splits = frame["data_split"].astype(str).where(own, neutral_split)
    kept = own | bool(include_neutral)
    present = set(splits[kept & (own | splits.isin(set(splits[own])))])
    ordered = [name for name in SPLITS if name in present]
    ordered += sorted(present - set(ordered))
    return {name: frame[kept & (splits == name)] for name in ordered}
