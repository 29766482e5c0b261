"""Every form of data read beside the reference: the same rows, in the same order, with the same splits and classes,
and the same rows chosen for training and scoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gradiend_ui.engine.data.forms import evaluation_rows
from gradiend_ui.engine.data.forms.choice import chosen_pair, training_labels, training_rows, transition_groups
from gradiend_ui.engine.data.forms.unified import UnifiedData, resplit, unified_frame, unify
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.trainer.config import TextPredictionConfig
from tests.parity.reference import Reference
from tests.support import german_articles

PAIR = ["masc_nom", "fem_nom"]
PERSONS = ["1SG", "3SG", "1PL", "3PL"]
WORDS = {"1SG": ["I", "me"], "3SG": ["he", "she", "it"], "1PL": ["we", "us"], "3PL": ["they", "them"]}
MERGED = {"singular": ["1SG", "3SG"], "plural": ["1PL", "3PL"]}
TRAIN: dict[str, Any] = {"split": "train"}
CAPPED: dict[str, Any] = {"split": "train", "max_size": 7}
CALLS = (TRAIN, CAPPED, {"split": "all"}, {"split": ["val", "TEST"], "max_size": 3})


def word_frames(count: int = 30) -> dict[str, pd.DataFrame]:
    """A frame per grammatical person, each with several tokens of differing frequency and casing."""
    frames = {}
    for name, words in WORDS.items():
        labels = [words[(i * i) % len(words)] for i in range(count)]
        labels = [word.title() if i % 5 == 0 else word for i, word in enumerate(labels)]
        texts = [f"{name} number {i} says [MASK] now" for i in range(count)]
        splits = ["train" if i % 3 else "test" if i % 2 else "val" for i in range(count)]
        frames[name] = pd.DataFrame({"masked": texts, "label": labels, "split": splits})
    return frames


def paired_words(count: int = 36) -> pd.DataFrame:
    """Rows with both tokens and both classes, over all ordered pairs of the four persons."""
    rows = []
    for i in range(count):
        for own in PERSONS:
            for other in PERSONS:
                if own != other:
                    label, alternative = WORDS[own][i % len(WORDS[own])], WORDS[other][(i // 2) % len(WORDS[other])]
                    split = "Train" if i % 4 else "test"
                    rows.append((f"{own} {other} {i} [MASK]", label, own, alternative, other, split))
    return pd.DataFrame(rows, columns=["masked", "label", "label_class", "alternative", "alternative_class", "split"])


def many_words(paired: bool) -> pd.DataFrame:
    """Two classes of twelve words; paired: each word has one fixed partner."""
    rows = []
    for i in range(60):
        for own, other in (("a", "b"), ("b", "a")):
            partner = i % 12 if paired else (i * 5 + i // 12) % 12
            rows.append((f"{i} [MASK]", f"{own}word{i % 12}", own, f"{other}word{partner}", other))
    return pd.DataFrame(rows, columns=["masked", "label", "label_class", "alternative", "alternative_class"])


def renamed() -> pd.DataFrame:
    names = {"masked": "satz", "label": "wort", "label_class": "klasse", "alternative": "anders"}
    return german_articles.build_frame().rename(columns={**names, "alternative_class": "andere", "split": "teil"})


RENAMED = {
    "masked_col": "satz",
    "label_col": "wort",
    "label_class_col": "klasse",
    "alternative_col": "anders",
    "alternative_class_col": "andere",
    "split_col": "teil",
}
CLASS_COLUMNS = {"alternative_col": None, "alternative_class_col": None}


def class_columns() -> pd.DataFrame:
    """One frame, a column per class: the row's own class holds nothing there but the label does."""
    frame = german_articles.build_frame(("masc_nom", "fem_nom"))
    own = {name: frame["alternative"].where(frame["alternative_class"] == name) for name in PAIR}
    return frame.drop(columns=["alternative", "alternative_class"]).assign(**own)


def labels_only(*classes: str) -> pd.DataFrame:
    frames = german_articles.build_class_frames()
    parts = [frames[name].rename(columns={name: "label"}).assign(label_class=name) for name in classes]
    return pd.concat(parts, ignore_index=True)


def labels_by_person(*persons: str) -> pd.DataFrame:
    frames = word_frames()
    return pd.concat([frames[name].assign(label_class=name) for name in persons], ignore_index=True)


def source_target() -> dict[str, pd.DataFrame]:
    frame = german_articles.build_frame(("masc_nom", "fem_nom"))
    pairs = frame.rename(columns={"label": "source", "alternative": "target"})
    return {
        "masc_nom": pairs[pairs["label_class"] == "masc_nom"].rename(columns={"alternative_class": "target_id"}),
        "fem_nom": pairs[pairs["label_class"] == "fem_nom"].assign(source_id="fem_nom", target_id="masc_nom"),
    }


@dataclass(frozen=True)
class Case:
    """One data set read by both: trainer settings, training arguments, calls of create_training_data."""

    name: str
    data: Any
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    calls: tuple[Mapping[str, Any], ...] = CALLS
    ordered: bool = True

    def __str__(self) -> str:
        return self.name


BY_CLASS = german_articles.build_class_frames()
DRAWN = {"random_state": 7}
ROW_SPLITS: dict[str, Any] = {"split_col": None}
HELDOUT: dict[str, Any] = {"split_col": "heldout", "target_classes": ["a", "b"], "split_ratios": (0.6, 0.2, 0.2)}
IDENTITY = {"add_identity_for_other_classes": True}
CASES = [
    Case("frame", german_articles.build_frame(("masc_nom", "fem_nom"))),
    Case("frame-three-classes", german_articles.build_frame(), {"target_classes": PAIR}),
    Case("frame-no-targets", german_articles.build_frame()),
    Case("frame-identity", german_articles.build_frame(), {"target_classes": PAIR}, {**IDENTITY, "seed": 3}),
    Case("renamed", renamed(), {**RENAMED, "target_classes": PAIR}),
    Case("labels-only", labels_only(*PAIR), {"target_classes": PAIR}),
    Case("labels-only-of-three", labels_only("neut_nom", *PAIR), {"target_classes": PAIR}),
    Case("labels-only-many-words", labels_by_person("3SG", "3PL"), {"target_classes": ["3SG", "3PL"]}),
    Case("class-columns", class_columns(), {**CLASS_COLUMNS, "target_classes": PAIR}),
    Case("by-class", {name: BY_CLASS[name] for name in PAIR}),
    Case("by-class-pair-of-three", BY_CLASS, {"target_classes": PAIR[::-1]}, {"seed": 5}),
    Case("by-class-identity", BY_CLASS, {"target_classes": PAIR}, IDENTITY),
    Case("by-class-no-targets", BY_CLASS, DRAWN, IDENTITY),
    Case("by-class-all-transitions", BY_CLASS, {"target_classes": PAIR, "all_classes": [*PAIR, "neut_nom"], **DRAWN},
         calls=({"split": "train", "include_other_classes": True},)),
    Case("by-class-labels", word_frames(), {**DRAWN, "target_classes": ["3SG", "3PL"]}),
    Case("by-class-two-counterfactuals", word_frames(), {**DRAWN, "max_counterfactuals_per_sentence": 2}),
    Case("by-class-source-target", source_target(), {"target_classes": PAIR[::-1]}),
    Case("merged-frame", paired_words(), {"class_merge_map": MERGED}),
    Case("merged-groups", paired_words(),
         {"class_merge_map": MERGED, "class_merge_transition_groups": [["1SG", "1PL"], ["3SG", "3PL"]]}),
    Case("merged-partly", paired_words(),
         {"class_merge_map": {"singular": ["1SG", "3SG"]}, "target_classes": ["singular", "3PL"]}),
    Case("merged-one-of-four", paired_words(), {"class_merge_map": {"singular": ["1SG", "3SG"]}}, IDENTITY),
    Case("merged-by-class", {n: f.assign(label=n.lower()[-2:]) for n, f in word_frames().items()},
         {"class_merge_map": MERGED}, IDENTITY, ordered=False, calls=()),
    Case("row-splits", german_articles.build_frame(), {**ROW_SPLITS, "target_classes": PAIR}, {"seed": 11}),
    Case("row-splits-all-classes", german_articles.build_frame(),
         {**ROW_SPLITS, "split_ratios": {"train": 0.5, "val": 0.25, "test": 0.25}}),
    Case("row-splits-by-class", BY_CLASS, {**ROW_SPLITS, "target_classes": PAIR}, IDENTITY),
    Case("heldout", many_words(paired=False), HELDOUT, {"seed": 2}),
    Case("heldout-pairs", many_words(paired=True), HELDOUT, {"seed": 2}),
    Case("heldout-small-shares", many_words(paired=False), {**HELDOUT, "split_ratios": (0.9, 0.06, 0.04)}),
    Case("heldout-by-alternative", many_words(paired=False), {**HELDOUT, "split_group_col": "alternative"}),
]  # fmt: skip


def records(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: records(frame) for name, frame in data.items()}
    return data.astype(object).where(data.notna(), None).to_dict("records")


def read_ours(case: Case) -> UnifiedData:
    form = TextPredictionConfig(**case.settings).form(seed=case.arguments.get("seed", 0))
    other = any(call.get("include_other_classes", False) for call in case.calls)
    return unify(case.data, form, include_other_classes=other)


def ask(reference: Reference, case: Case, tokenizer: Path) -> Any:
    return reference.ask(
        "unify",
        data=records(case.data),
        tokenizer=str(tokenizer),
        trainer=dict(case.settings),
        arguments=dict(case.arguments),
        calls=[dict(call) for call in case.calls],
    )


def chosen_as_theirs(rows: tuple[EvalRow, ...], pair: tuple[str, str]) -> list[dict[str, Any]]:
    cells = zip(rows, transition_groups(rows, pair), training_labels(rows, pair), strict=True)
    return [
        {
            "masked": row.masked,
            "factual": row.label,
            "alternative": row.alternative,
            "factual_id": row.label_class,
            "alternative_id": row.alternative_class,
            "label": label,
            "feature_class_id": group,
        }
        for row, group, label in cells
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_same_rows_as_the_reference(case: Case, reference: Reference, tiny_bert: Path) -> None:
    theirs, ours = ask(reference, case, tiny_bert), read_ours(case)
    if "include_other_classes" not in str(case.calls):
        rows, expected = unified_frame(ours).to_dict("records"), theirs["rows"]
        assert len(rows) == len(expected) > 0 and not ours.rejected
        assert rows == expected if case.ordered else _in_any_order(rows) == _in_any_order(expected)
    assert list(ours.all_classes) == theirs["all_classes"]
    if case.settings.get("target_classes") or len(ours.all_classes) == 2:
        assert list(ours.target_classes) == theirs["target_classes"]
    add_identity = bool(case.arguments.get("add_identity_for_other_classes", False))
    pair = None
    for call, expected in zip(case.calls, theirs["chosen"], strict=True):
        pair = pair or chosen_pair(ours, call["split"])  # the reference keeps the pair of its first call
        found = training_rows(ours, pair=pair, seed=case.arguments.get("seed", 0), add_identity=add_identity, **call)
        wanted = [{key: value for key, value in row.items() if key != "split"} for row in expected]
        assert chosen_as_theirs(found, pair) == wanted
        if len(ours.target_classes) == 2 and "include_other_classes" not in call:
            seed = case.arguments.get("seed", 0)
            assert evaluation_rows(ours, seed=seed, add_identity=add_identity, **call) == found


def _in_any_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(map(str, rows))


def test_cases_cover_what_they_name() -> None:
    """The drawn cases have something to draw, the two heldout ones take different ways."""
    by_name = {case.name: case for case in CASES}
    drawn = read_ours(by_name["by-class-labels"])
    assert len({row.alternative for row in drawn.rows if row.label_class == "3SG"}) >= 4
    seeds = [TextPredictionConfig(split_col=None, target_classes=PAIR).form(seed) for seed in (0, 1)]
    data = german_articles.build_frame()
    assert unify(data, seeds[0]).rows != unify(data, seeds[1]).rows
    assert resplit(unify(data, seeds[0]), seeds[0], 1).rows == unify(data, seeds[1]).rows
    for name, kept in (("heldout", False), ("heldout-pairs", True)):
        case = by_name[name]
        partner = {(row.masked, row.label): row.alternative for row in read_ours(case).rows}
        given = zip(case.data["masked"], case.data["label"], case.data["alternative"], strict=True)
        assert all(partner[masked, label] == word for masked, label, word in given) is kept
