"""Every form of data gives the same rows; what cannot be read is refused in a sentence."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from gradiend_ui.engine.data.forms import evaluation_rows, neutral_texts
from gradiend_ui.engine.data.forms.choice import (
    chosen_pair,
    require_training_splits,
    split_for_role,
    split_names,
    training_labels,
    training_rows,
    transition_groups,
)
from gradiend_ui.engine.data.forms.form import DataForm, split_ratios
from gradiend_ui.engine.data.forms.unified import resplit, unified_frame, unify
from gradiend_ui.engine.errors import BadData, NotAllowed, TooLarge
from gradiend_ui.trainer.config import TextPredictionConfig
from tests.support import german_articles

PAIR = ("masc_nom", "fem_nom")
ALL = (*PAIR, "neut_nom")
FORM = DataForm(target_classes=PAIR)
FRAME = german_articles.build_frame(PAIR)


def without_numbers(rows: tuple[Any, ...]) -> list[tuple[str, ...]]:
    return [(row.masked, row.label, row.label_class, row.alternative, row.split) for row in rows]


def write(frame: pd.DataFrame, path: Path) -> Path:
    writers: dict[str, Callable[[], Any]] = {
        ".csv": lambda: frame.to_csv(path, index=False),
        ".tsv": lambda: frame.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        ".json": lambda: frame.to_json(path, orient="records"),
        ".parquet": lambda: frame.to_parquet(path),
    }
    writers[path.suffix]()
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_files_give_the_rows_of_the_frame(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="parquet files need pyarrow")
    expected = unify(FRAME, FORM)
    file = write(FRAME, tmp_path / f"training{suffix}")
    assert unify(file, FORM) == unify(str(file), FORM) == expected
    if suffix != ".json":
        assert unify(tmp_path, FORM) == unify(str(tmp_path), FORM) == expected
    assert unify(FRAME.to_dict("records"), FORM) == expected


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_without_its_reader_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "training.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadData, match=r"training\.parquet cannot be read.*pyarrow"):
        unify(tmp_path / "training.parquet", FORM)


def test_a_frame_per_class_gives_the_same_as_one_frame() -> None:
    frames = german_articles.build_class_frames()
    whole = unify(german_articles.build_frame(), DataForm(target_classes=PAIR))
    by_class = unify(frames, FORM)
    assert by_class.all_classes == whole.all_classes == tuple(sorted(ALL))
    between = [row for row in whole.rows if "neut_nom" not in (row.label_class, row.alternative_class)]
    assert without_numbers(by_class.rows) == without_numbers(tuple(between))
    assert len(by_class.neutral_rows["neut_nom"]) == 64 and set(by_class.neutral_rows) == {"neut_nom"}
    assert [row.number for row in by_class.rows] == list(range(128))
    assert by_class.neutral_rows["neut_nom"][0].number == 128  # numbers count through all tables


def test_another_placeholder_is_read_as_the_mask() -> None:
    marked = FRAME.assign(masked=FRAME["masked"].str.replace("[MASK]", "<hier>"))
    assert unify(marked, DataForm(target_classes=PAIR, mask_placeholder="<hier>")) == unify(FRAME, FORM)
    with pytest.raises(BadData, match="None of the 128 rows can be scored. First reason: row 1: it has 0 times"):
        unify(marked, FORM)


def test_rows_that_cannot_be_used_are_set_aside_under_their_number() -> None:
    broken = FRAME.copy()
    broken.loc[3, "masked"] = "ohne Platz"
    broken.loc[5, "alternative"] = None
    broken.index = pd.RangeIndex(1000, 1128)
    unified = unify(broken, FORM)
    assert [(row.number, row.reason[:12]) for row in unified.rejected] == [(3, "it has 0 tim"), (5, "its alternat")]
    assert len(unified.rows) == 126 and unified.data.rejected == unified.rejected


def test_target_classes_are_found() -> None:
    assert unify(FRAME, DataForm()).pair == ("fem_nom", "masc_nom")
    assert unify(german_articles.build_frame(), DataForm()).target_classes == ()
    frames = german_articles.build_class_frames()
    assert unify(frames, DataForm()).target_classes == ("fem_nom", "masc_nom", "neut_nom")
    merged = DataForm(class_merge_map={"genus": ["masc_nom", "fem_nom"], "neutrum": ["neut_nom"]})
    for data in (frames, german_articles.build_frame()):
        unified = unify(data, merged)
        assert unified.pair == ("genus", "neutrum")
        assert {(row.label_class, row.alternative_class) for row in unified.rows} == {unified.pair, unified.pair[::-1]}
    labels = FRAME.drop(columns=["alternative", "alternative_class"])
    assert unify(labels, DataForm()).pair == ("fem_nom", "masc_nom")


def test_merged_classes_with_one_label_per_row() -> None:
    frames = german_articles.build_class_frames()
    labels = pd.concat(
        [frame.rename(columns={name: "label"}).assign(label_class=name) for name, frame in frames.items()]
    )
    form = DataForm(
        class_merge_map={"genus": ["masc_nom", "fem_nom"], "neutrum": ["neut_nom"]},
        class_merge_transition_groups=[["masc_nom", "neut_nom"]],
    )
    unified = unify(labels, form)
    assert len(unified.rows) == 192 and {row.alternative.lower() for row in unified.rows} == {"der", "die", "das"}
    assert "changes nothing" in unified.notes[0]
    assert sorted(row.number for row in unified.rows) == list(range(192))


def test_classes_the_creator_could_not_fill_are_no_targets(tmp_path: Path) -> None:
    file = write(german_articles.build_frame(), tmp_path / "rows.csv")
    write(pd.DataFrame({"label_class": ["neut_nom"]}), tmp_path / "rows_incomplete_classes.csv")
    unified = unify(file, DataForm(target_classes=ALL))
    assert unified.pair == PAIR and "neut_nom" in unified.notes[0]


SENTENCES: list[tuple[Any, dict[str, Any], str]] = [
    (None, {}, "There is no data"),
    ("missing.csv", {}, r"no file 'missing\.csv'"),
    (Path("missing"), {}, "no file 'missing'"),
    ({}, {}, "holds no class"),
    ({"a": pd.DataFrame()}, {}, "class 'a' has no rows"),
    ({"a": [{"masked": "[MASK]"}], "b": [{"masked": "[MASK]"}]}, {}, "has no column 'a' or 'label'"),
    ({"a": [{"label": "x"}], "b": [{"label": "y"}]}, {}, "no column 'masked'"),
    (german_articles.build_class_frames(), {"target_classes": ("masc_nom", "dative")}, "no class 'dative'"),
    (FRAME, {"target_classes": ("masc_nom", "dative")}, "no class 'dative'"),
    (FRAME.drop(columns=["label_class", "alternative"]), {}, "no column 'label_class'"),
    (FRAME.drop(columns="label"), {}, "no column 'label'"),
    (german_articles.build_frame().drop(columns=["alternative"]), {}, "two target_classes"),
    (FRAME.drop(columns=["alternative"]), {"target_classes": ("masc_nom", "x")}, "no row of class 'x'"),
    (FRAME, {"class_merge_map": {"x": ["dative"], "y": ["genitive"]}}, "None of the 0 rows"),
    (
        german_articles.build_class_frames(),
        {"class_merge_map": {"x": ["dative"], "y": ["genitive"]}},
        "leaves no class",
    ),
    (FRAME[:2], {"split_col": "heldout", "target_classes": PAIR}, "at least 10 rows and 3 different words"),
    (FRAME, {"split_col": "heldout", "target_classes": PAIR}, "1 words"),
    (german_articles.build_frame(), {"split_col": "heldout"}, "needs two target_classes"),
    (pd.concat([FRAME[:4], FRAME[-4:]]), {"split_col": None, "ratios": (0.9, 0.1, 0.0)}, "validation gets none"),
]


@pytest.mark.parametrize(("data", "settings", "sentence"), SENTENCES, ids=lambda value: str(value)[:30])
def test_unusable_data_is_a_sentence(data: Any, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadData, match=sentence):
        unify(data, DataForm(**settings))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mask_placeholder": " "}, "mask_placeholder is empty"),
        ({"max_counterfactuals_per_sentence": 0}, "at least 1|from 1"),
        ({"target_classes": ["a", "a"]}, "'a' twice"),
        ({"target_classes": "ab"}, "is the text 'ab'"),
        ({"split_ratios": (0.5, 0.5, 0.5)}, "with the sum 1"),
        ({"split_ratios": (0.5, 0.5)}, "three shares"),
        ({"split_ratios": (1.2, -0.1, -0.1)}, "from 0 to 1"),
        ({"split_ratios": {"train": 0.5, "test": 0.5}}, "lacks 'val'"),
        ({"class_merge_map": {"x": ["a"], "y": ["a"]}}, "into both 'x' and 'y'"),
        ({"class_merge_map": {"x": "ab"}}, "must be a list"),
        ({"n_features": 0}, "n_features must be a whole number from 1"),
    ],
)
def test_settings_that_cannot_be_are_sentences(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadData, match=sentence):
        TextPredictionConfig(**settings)


def test_the_config_hands_over_its_settings() -> None:
    config = TextPredictionConfig(split_ratios={"train": 0.5, "val": 0.3, "test": 0.2}, target_classes=["a", "b"])
    assert (config.split_train_ratio, config.split_val_ratio, config.split_test_ratio) == (0.5, 0.3, 0.2)
    form = config.form(seed=4, mask_placeholder="<x>")
    assert (form.ratios, form.split_seed, form.counterfactual_seed) == ((0.5, 0.3, 0.2), 4, 4)
    assert form.mask_placeholder == "<x>" and form.target_classes == ("a", "b")
    assert TextPredictionConfig(random_state=9).form(seed=4).counterfactual_seed == 9
    with pytest.raises(BadData, match="give it once"):
        TextPredictionConfig(mask_placeholder="<y>").form(mask_placeholder="<x>")
    with pytest.raises(NotAllowed, match="stranger's Python"):
        TextPredictionConfig(dataset_trust_remote_code=True)
    config.target_classes = ["b", "a"]
    assert config.form().target_classes == ("b", "a")
    assert split_ratios(None) == (0.8, 0.1, 0.1)


def test_drawn_splits_repeat_and_cover_the_ratios() -> None:
    form = DataForm(target_classes=PAIR, split_col=None, split_seed=1)
    unified = unify(FRAME, form)
    counts = unified.data.counts()
    assert counts["masc_nom"] == counts["fem_nom"] == {"train": 51, "validation": 6, "test": 7}
    assert resplit(unified, form, 1) == unified != resplit(unified, form, 2)
    assert sorted(row.number for row in unified.rows) == list(range(128))
    assert resplit(unify(FRAME, FORM), FORM, 9) == unify(FRAME, FORM)  # splits from a column stay


def test_held_out_words_stay_in_one_split_and_take_turns() -> None:
    rows = [
        (f"{i} [MASK]", f"{own}{i % 10}", own, f"{other}{(i * 3 + i // 10) % 10}", other)
        for i in range(40)
        for own, other in (("a", "b"), ("b", "a"))
    ]
    frame = pd.DataFrame(rows, columns=["masked", "label", "label_class", "alternative", "alternative_class"])
    form = DataForm(split_col="heldout", ratios=(0.6, 0.2, 0.2), target_classes=("a", "b"))
    unified = unify(frame, form)
    split_of: dict[str, set[str]] = {}
    for row in unified.rows:
        split_of.setdefault(row.label, set()).add(row.split)
        split_of.setdefault(row.alternative, set()).add(row.split)
    assert len(split_of) == 20 and all(len(found) == 1 for found in split_of.values())
    held_out: set[str] = set()
    for turn in range(3):  # 4 of 10 words each time: three turns reach all
        turned = resplit(unified, form, 0, cycle=(turn, 3))
        held_out |= {row.label for row in turned.rows if row.split != "train"}
    assert len(held_out) == 20
    by_first_letter = DataForm(
        split_col="heldout", target_classes=("a", "b"), split_group_key=lambda word: word[-1], ratios=(0.5, 0.25, 0.25)
    )
    assert {row.split for row in unify(frame, by_first_letter).rows} == {"train", "validation", "test"}


def test_counterfactuals_are_drawn_by_the_seed() -> None:
    words = {"a": ["x"] * 6, "b": ["one", "two", "two", "three", "Two", "four"]}
    tables = {
        name: pd.DataFrame({"masked": [f"{i} [MASK]" for i in range(6)], "label": labels})
        for name, labels in words.items()
    }
    three = DataForm(max_counterfactuals_per_sentence=3, counterfactual_seed=1)
    rows = [row for row in unify(tables, three).rows if row.label_class == "a"]
    assert len(rows) == 18 and all(len({row.alternative for row in rows if row.number == i}) == 3 for i in range(6))
    assert unify(tables, three) == unify(tables, three)
    assert unify(tables, three) != unify(tables, DataForm(max_counterfactuals_per_sentence=3, counterfactual_seed=2))
    most = DataForm(max_counterfactuals_per_sentence=9)
    assert len([row for row in unify(tables, most).rows if row.label_class == "a"]) == 6 * 4


def test_a_drawn_word_is_spelled_as_first_seen() -> None:
    labels = {"a": ["eBay", "eBay"], "b": ["NaCl", "nacl"]}
    tables = {
        name: pd.DataFrame({"masked": [f"{i} [MASK]" for i in (0, 1)], "label": words})
        for name, words in labels.items()
    }
    rows = unify(tables, DataForm()).rows
    assert [row.alternative for row in rows] == ["NaCl", "NaCl", "eBay", "ebay"]


def test_an_empty_cell_of_a_class_column_is_no_pair() -> None:
    frames = german_articles.build_class_frames()
    with_column = frames["masc_nom"].assign(fem_nom=["die", None, float("nan"), ""] * 16)
    unified = unify({**frames, "masc_nom": with_column}, FORM)
    assert len(unified.rows) == 16 + 64 and not unified.rejected


@pytest.mark.parametrize("named", [True, False])
def test_tables_of_ready_pairs_by_transition(named: bool) -> None:
    pairs = FRAME.rename(columns={"label": "source", "alternative": "target"})
    tables = {}
    for own, other in (PAIR, PAIR[::-1]):
        table = pairs[pairs["label_class"] == own].drop(columns=["label_class", "alternative_class"])
        ids = table.assign(source_id=own, target_id=other)
        tables[f"one_to_{own}" if named else f"{own}_to_{other}"] = ids if named else table
    unified = unify(tables, FORM)
    assert without_numbers(unified.rows) == without_numbers(unify(FRAME, FORM).rows)
    assert unified.all_classes == tuple(sorted(PAIR)) and unified.pair == PAIR


def test_a_table_of_any_size_is_counted_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradiend_ui.engine.data.forms.sources.MAX_ROWS", 191)
    with pytest.raises(TooLarge, match="192 rows; at most 191"):
        unify(german_articles.build_class_frames(), FORM)


def test_training_rows_are_capped_per_group_and_joined_by_identity_rows() -> None:
    unified = unify(german_articles.build_class_frames(), FORM)
    rows = training_rows(unified, "train")
    assert transition_groups(rows, PAIR) == (0,) * 40 + (1,) * 40
    assert training_labels(rows, PAIR) == (1,) * 40 + (-1,) * 40
    with_identity = training_rows(unified, "train", add_identity=True, max_size=10)
    assert transition_groups(with_identity, PAIR) == (0,) * 10 + (1,) * 10 + (2,) * 10
    assert {(row.label, row.alternative) for row in with_identity[20:]} <= {("das", "das"), ("Das", "Das")}
    assert training_labels(with_identity, PAIR)[20:] == (0,) * 10
    assert training_rows(unified, "train", max_size=80) == rows  # a cap that does not bite leaves the order alone
    assert training_rows(unified, "train", max_size=9, seed=None) == training_rows(
        unified, "train", max_size=9, seed=42
    )
    by_class = training_rows(unified, "train", max_size=5, balance="label_class")
    assert [row.label_class for row in by_class] == ["fem_nom"] * 5 + ["masc_nom"] * 5
    with pytest.raises(BadData, match="balance is 'colour'"):
        training_rows(unified, "train", max_size=5, balance="colour")


def test_splits_by_name_list_and_all() -> None:
    unified = unify(FRAME.assign(split=FRAME["split"].replace({"validation": "dev", "test": "Extra"})), FORM)
    assert split_names(unified, "all") == ("train", "validation", "extra")
    assert evaluation_rows(unified, "all") == unified.rows
    both = evaluation_rows(unified, ["EXTRA", "val"])
    assert [row for row in unified.rows if row.split != "train"] == list(both)
    with pytest.raises(BadData, match="split 'test'. Splits in the data: train, validation, extra"):
        evaluation_rows(unified)
    with pytest.raises(BadData, match="empty list"):
        evaluation_rows(unified, [])


def test_splits_for_each_step_of_the_work() -> None:
    unified = unify(FRAME, FORM)
    assert [split_for_role(unified, role) for role in ("train", "eval", "decoder")] == ["train", "validation", "test"]
    require_training_splits(unified, evaluates=True, held_out=True)
    only_train = unify(FRAME[FRAME["split"] == "train"], FORM)
    assert split_for_role(only_train, "decoder") == "train"
    require_training_splits(only_train, evaluates=False)
    for needs, sentence in (
        ({"evaluates": True}, "do_eval=False"),
        ({"evaluates": False, "held_out": True}, "Held-out"),
    ):
        with pytest.raises(BadData, match=sentence):
            require_training_splits(only_train, **needs)
    only_test = unify(FRAME[FRAME["split"] == "test"], FORM)
    assert split_for_role(only_test, "train") == "test"
    with pytest.raises(BadData, match="Training needs rows of the split 'train'; the data has test"):
        require_training_splits(only_test, evaluates=False)
    with pytest.raises(BadData, match="no role 'lunch'"):
        split_for_role(unified, "lunch")


def test_three_target_classes_are_all_scored() -> None:
    unified = unify(german_articles.build_frame(), DataForm(target_classes=ALL))
    rows = evaluation_rows(unified, "test", max_size=4)
    assert len(rows) == 4 * 6 and unified.pair is None
    assert {row.label_class for row in rows} == set(ALL)
    assert chosen_pair(unified, "test") == PAIR  # training takes the first transition, as in the reference
    assert {row.label_class for row in training_rows(unified, "train")} == set(PAIR)
    assert len(training_rows(unified, "train", include_other_classes=True)) == 6 * 40
    for everything in (False, True):  # named transitions win, as in the reference
        named = [("neut_nom", "fem_nom")]
        assert len(training_rows(unified, "train", transitions=named, include_other_classes=everything)) == 3 * 40
    assert evaluation_rows(unified, "test", pair=PAIR) == training_rows(unified, "test", pair=PAIR)
    with pytest.raises(BadData, match="no row between x and y"):
        training_rows(unified, "train", pair=("x", "y"))


class HubTable:
    """What `datasets` gives for one split."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def to_pandas(self) -> pd.DataFrame:
        return self._frame.copy()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A stand-in for the package `datasets` that knows one data set; returns the calls made to it."""
    calls: list[tuple[Any, ...]] = []
    library = ModuleType("datasets")

    def parts(frame: pd.DataFrame) -> dict[str, HubTable]:
        groups = frame.groupby("split", sort=False)
        return {str(name): HubTable(group.drop(columns="split")) for name, group in groups}

    def load_dataset(name: str, subset: str | None = None, **options: Any) -> Any:
        calls.append((name, subset, options))
        if name != "us/articles":
            raise FileNotFoundError(f"Dataset '{name}' doesn't exist\nsecond line")
        if options.get("split"):
            return HubTable(pd.DataFrame({"text": ["eins", "", "drei"]}))
        if subset == "whole":
            return parts(FRAME)
        return parts(german_articles.build_class_frames()[str(subset)])

    def subset_names(name: str) -> list[str]:
        if name != "us/articles":
            raise ValueError("no subsets here")
        return sorted(ALL)

    library.load_dataset = load_dataset  # type: ignore[attr-defined]
    library.get_dataset_config_names = subset_names  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", library)
    return calls


def test_hub_data_with_a_subset_per_class(hub: list[tuple[Any, ...]]) -> None:
    local = german_articles.build_class_frames()
    unified = unify("us/articles", FORM)
    assert sorted(without_numbers(unified.rows)) == sorted(without_numbers(unify(local, FORM).rows))
    assert [call[1] for call in hub] == list(PAIR) and all(not call[2] for call in hub)  # no trust_remote_code
    assert unify("us/articles", DataForm()).all_classes == tuple(sorted(ALL))
    only = unify("us/articles", DataForm(target_classes=PAIR, hf_splits=["val"]))
    assert {row.split for row in only.rows} == {"validation"}
    every = DataForm(target_classes=PAIR, all_classes=ALL)
    assert len(unify("us/articles", every, include_other_classes=True).rows) == 64 * 6


def test_hub_data_in_one_table(hub: list[tuple[Any, ...]]) -> None:
    form = DataForm(target_classes=PAIR, hf_dataset="us/articles", hf_subset="whole")
    assert sorted(without_numbers(unify(None, form).rows)) == sorted(without_numbers(unify(FRAME, FORM).rows))
    with pytest.raises(BadData, match="none of the splits dev2"):
        unify(None, DataForm(hf_dataset="us/articles", hf_subset="whole", hf_splits=["dev2"]))


def test_hub_refusals(hub: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        BadData, match="subset 'masc_nom' of the data set 'them/none' could not be loaded: Dataset 'them/none'"
    ) as error:
        unify("them/none", FORM)
    assert "second line" not in str(error.value)
    with pytest.raises(BadData, match="data set 'them/none' could not be loaded: no subsets here"):
        unify("them/none", DataForm())
    with pytest.raises(BadData, match="data set 'them/none' could not be loaded: Dataset"):
        unify(None, DataForm(hf_dataset="them/none"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadData, match="pip install datasets"):
        unify("us/articles", FORM)


def test_neutral_texts_from_everywhere(hub: list[tuple[Any, ...]], tmp_path: Path) -> None:
    assert neutral_texts("us/articles") == ("eins", "", "drei")
    assert neutral_texts("us/articles", max_rows=1) == ("eins",) and hub[-1][2] == {"split": "train"}
    file = tmp_path / "neutral.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text in ("eins", "", "drei")))
    assert neutral_texts(str(file)) == neutral_texts(["eins", "", "drei"]) == ("eins", "", "drei")
    assert neutral_texts(file, keep_empty=False) == ("eins", "drei")


def test_the_unified_frame_has_the_names_of_the_reference() -> None:
    frame = unified_frame(unify(FRAME, FORM))
    assert list(frame.columns) == [
        "masked", "split", "factual_class", "alternative_class", "factual", "alternative", "transition"
    ]  # fmt: skip
    assert frame.loc[0, "transition"] == "masc_nom→fem_nom"
