"""Every argument of evaluate_decoder beside the reference's: the same numbers, the same winners.

Where ours means to differ: test_deviations.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from gradiend_ui.engine.errors import GradiendUIError
from tests.parity.comparison import assert_same_result, evaluate_ours
from tests.parity.reference import Reference
from tests.support import tiny_text

CLASSES = ["M", "F"]
LRS: dict[str, Any] = {"lrs": [0.1, 2]}
DENSE: dict[str, Any] = {"lrs": [2, 0.1, 2, -0.5], "feature_factors": [1, -1.0, 0.5, 0]}
WEAKEN: dict[str, Any] = {**LRS, "increase_target_probabilities": False}
GAP: dict[str, Any] = {**LRS, "summary_extractor": "gap", "summary_metrics": ["gap", "evenness"]}
PARTS = ("decoder", "decoder-weight", "decoder-bias", "decoder-sum", "encoder-weight")
WORDS = {"M": ["he"], "F": ["she"], "N": ["they", "we"]}


@dataclass(frozen=True)
class Case:
    """Calls on one trainer. table: of the fixture ``tables``; arguments: TrainingArguments; trainer: of the trainer."""

    name: str
    checkpoint: str
    calls: tuple[Mapping[str, Any], ...]
    table: str = "plain"
    neutral: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)
    trainer: Mapping[str, Any] = field(default_factory=dict)
    row_wise: bool = False


CASES = [
    Case("grids", "bert-all", (DENSE, {**DENSE, "increase_target_probabilities": False}, {"feature_factors": [-1, 1]})),
    Case(
        "classes",
        "bert-mixed",
        tuple(
            {**call, "target_class": asked} for call in (LRS, WEAKEN) for asked in ("M", "F", ["F", "M"], ["M"], None)
        ),
    ),
    Case(
        "policies",
        "bert-mask",
        tuple(
            {**call, "selector": policy}
            for call in (LRS, WEAKEN)
            for policy in ("LMSTimesMetricPolicy", "GentlestPolicy", "BoldestPolicy", "UndecidedPolicy")
        ),
    ),
    Case(
        "metrics",
        "bert-all",
        (
            GAP,
            {**GAP, "selector": "GentlestPolicy"},
            {**LRS, "summary_metrics": ["M_weaken", "F", "F_factual"]},
            {**LRS, "summary_metrics": ["F"], "target_class": "F"},
            {**WEAKEN, "summary_metrics": ["F_weaken", "M_weaken"]},
        ),
    ),
    Case(
        "splits",
        "bert-indices",
        tuple({**LRS, "split": split} for split in ("validation", ["val", "TEST"], ["test", "validation"], "all")),
    ),
    Case("splits-without-texts", "gpt2-all", ({**LRS, "split": ["validation", "test"]},), neutral=False),
    *(
        Case(
            f"sizes-{checkpoint}-{'texts' if neutral else 'rows'}",
            checkpoint,
            (
                {"lrs": [0.5], "max_size": 9},
                {"lrs": [0.5], "max_size": 30, "max_size_training_like": 5},
                {"lrs": [0.5], "max_size_neutral": 7},
                {"lrs": [0.5], "max_size_training_like": 11, "max_size_neutral": 4, "target_class": "M"},
            ),
            neutral=neutral,
            arguments={"seed": 3},
        )
        for checkpoint, neutral in (("bert-all", True), ("bert-all", False), ("gpt2-indices", False))
    ),
    Case(
        "settings",
        "bert-all",
        ({}, {"lrs": [0.3]}, {"max_size_neutral": 5}),
        arguments={
            "decoder_eval_lrs": [1, 0.2],
            "decoder_eval_feature_factors": [1.0, -1.0],
            "decoder_eval_max_size_training_like": 6,
            "decoder_eval_max_size_neutral": 12,
            "train_max_size": 8,
            "eval_batch_size": 5,
        },
    ),
    Case("lms-samples", "bert-all", (LRS, {**LRS, "max_size_neutral": 3}), trainer={"decoder_eval_lms_max_samples": 8}),
    Case("train-size", "bert-all", (LRS,), arguments={"train_max_size": 4}, neutral=False),
    Case(
        "left-padding",
        "gpt2-left",
        ({**LRS, "eval_batch_size": 3}, {**LRS, "eval_batch_size": 8}, LRS),
    ),
    Case("left-padding-rows", "gpt2-left", ({**LRS, "eval_batch_size": 5},), neutral=False),
    Case("right-padding", "gpt2-all", ({**LRS, "eval_batch_size": 3}, LRS), table="even"),
    Case("ignored", "bert-all", (LRS,), trainer={"decoder_eval_ignore_tokens": ["the", "house"]}),
    Case("ignored-rows", "gpt2-all", (LRS,), neutral=False, trainer={"decoder_eval_ignore_tokens": ["went", "."]}),
    Case("none-ignored", "bert-mixed", (LRS,), neutral=False, trainer={"decoder_eval_ignore_tokens": []}),
    Case("words", "bert-all", (LRS, WEAKEN), table="three", trainer={"decoder_eval_targets": WORDS}),
    *(
        Case(
            f"more-words-{checkpoint}",
            checkpoint,
            (LRS, WEAKEN, {**LRS, "summary_metrics": ["M", "F"]}),
            table="three",
            neutral=checkpoint == "bert-all",
            trainer={
                "decoder_eval_targets": {"N": ["they", "we"], "F": ["she"], "M": ["he"]},
                "decoder_eval_restrict_to_target_classes": False,
            },
        )
        for checkpoint in ("bert-all", "gpt2-all")
    ),
    Case("third-class", "bert-mixed", (LRS,), table="three", neutral=False),
    Case(
        "identity",
        "bert-all",
        (LRS, {**LRS, "max_size": 4}),
        table="three",
        neutral=False,
        arguments={"add_identity_for_other_classes": True},
    ),
    Case(
        "label", "bert-mask", (LRS, WEAKEN), table="reflexive", trainer={"decoder_eval_targets": "label"}, row_wise=True
    ),
]


@pytest.fixture(scope="module")
def more_checkpoints(checkpoints: dict[str, Path], model_folder: Path) -> dict[str, Path]:
    """The trained ones, and "gpt2-left": the same GRADIEND on a base whose tokenizer pads on the left."""
    base, gradiend = model_folder / "gpt2-left-base", model_folder / "gpt2-left"
    config = json.loads((checkpoints["gpt2-all"] / "config.json").read_text())
    shutil.copytree(config["metadata"]["base_model"], base)
    settings = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps({**settings, "padding_side": "left"}))
    shutil.copytree(checkpoints["gpt2-all"], gradiend)
    config["metadata"]["base_model"] = str(base)
    (gradiend / "config.json").write_text(json.dumps(config))
    return {**checkpoints, "gpt2-left": gradiend}


@pytest.fixture(scope="module")
def tables(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows by name; "even": every left context stands alone in its length's chunk, so nothing is padded."""
    lengths = rows["masked"].map(lambda text: len(text.split(tiny_text.MASK)[0].split()))
    even = rows[(rows["split"] == "test") & (lengths == lengths[rows["split"] == "test"].mode()[0])]
    return {
        "plain": rows,
        "even": even,
        "reflexive": tiny_text.build_reflexive_rows(),
        "three": with_third_class(rows),
        "parted": with_parted_classes(rows),
    }


def with_third_class(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows and some of a class N, which goes over into M and F and back."""
    found = []
    for place, (thing, mood) in enumerate(zip(tiny_text.THINGS, tiny_text.MOODS, strict=True)):
        split, text = (
            ("test", "train", "validation")[place % 3],
            f"{tiny_text.MASK} were {mood} and found the {thing} .",
        )
        for own, other in (("N", "M"), ("N", "F"), ("M", "N"), ("F", "N")):
            words = {"N": ("they", "we")[place % 2], "M": "he", "F": "she"}
            found.append((text, words[own], own, words[other], other, split))
    return pd.concat([rows, pd.DataFrame(found, columns=list(rows.columns))], ignore_index=True)


def with_parted_classes(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the classes M1, M2, F1, F2, of which every other row is one."""
    part = (rows.index // 2 % 2 + 1).astype(str)
    return rows.assign(label_class=rows["label_class"] + part, alternative_class=rows["alternative_class"] + part)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_same_numbers(
    case: Case,
    reference: Reference,
    more_checkpoints: dict[str, Path],
    tables: dict[str, pd.DataFrame],
    neutral_texts: list[str],
    tmp_path: Path,
) -> None:
    data = (more_checkpoints[case.checkpoint], tables[case.table], neutral_texts if case.neutral else None, case.calls)
    options: dict[str, Any] = {"target_classes": CLASSES, **case.trainer}
    theirs = reference.evaluate(*data, arguments=case.arguments, **options)
    ours = evaluate_ours(*data, tmp_path, arguments=case.arguments, **options)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert_same_result(mine, wanted, row_wise=case.row_wise)


@pytest.mark.parametrize("checkpoint", ["bert-mixed", "gpt2-indices"])
def test_every_part(
    checkpoint: str,
    reference: Reference,
    checkpoints: dict[str, Path],
    rows: pd.DataFrame,
    neutral_texts: list[str],
    tmp_path: Path,
) -> None:
    """The reference's trainer has no ``part``; its DecoderEvaluator has. Feature factors count for "decoder" only."""
    calls = [{"part": part, "lrs": [0.5], "feature_factors": [-1, 1]} for part in PARTS]
    data = (checkpoints[checkpoint], rows, neutral_texts, calls)
    theirs = reference.evaluate(*data, target_classes=CLASSES)
    for part, mine, wanted in zip(PARTS, evaluate_ours(*data, tmp_path, target_classes=CLASSES), theirs, strict=True):
        assert_same_result(mine, wanted)
        alike = mine["grid"][-1, 0.5]["probs"] == mine["grid"][1, 0.5]["probs"]
        assert alike == (part != "decoder"), f"{part}: feature factors"


def test_merged_classes(
    reference: Reference, checkpoints: dict[str, Path], tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    calls = (LRS, {**WEAKEN, "target_class": "F"}, {**LRS, "max_size": 6, "split": "all"})
    data = (checkpoints["bert-all"], tables["parted"], None, calls)
    merged = {"class_merge_map": {"M": ["M1", "M2"], "F": ["F1", "F2"]}}
    theirs = reference.evaluate(*data, **merged)
    for mine, wanted in zip(evaluate_ours(*data, tmp_path, **merged), theirs, strict=True):
        assert_same_result(mine, wanted)


def scored_frame(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Validation rows in the columns that the reference scores, with the numeric label its own tables carry."""
    chosen = rows[rows["split"] == "validation"]
    return [
        {
            "masked": row["masked"],
            "factual": row["label"],
            "alternative": row["alternative"],
            "factual_id": row["label_class"],
            "alternative_id": row["alternative_class"],
            "label": 1 if row["label_class"] == "M" else -1,
            "feature_class_id": 0 if row["label_class"] == "M" else 1,
        }
        for row in chosen.to_dict("records")
    ]


@pytest.mark.parametrize("columns", ["reference", "ours"])
@pytest.mark.parametrize("checkpoint", ["bert-all", "gpt2-all"])
def test_own_tables(
    columns: str,
    checkpoint: str,
    reference: Reference,
    checkpoints: dict[str, Path],
    rows: pd.DataFrame,
    neutral_texts: list[str],
    tmp_path: Path,
) -> None:
    own = rows[rows["split"] == "validation"].to_dict("records") if columns == "ours" else scored_frame(rows)
    texts = [{"text": text} for text in neutral_texts[5:20]]
    masked = [{"masked": row["masked"], "label": row["label"]} for row in rows.to_dict("records")[:9]]
    calls = (
        {**LRS, "training_like_df": own},
        {**WEAKEN, "training_like_df": own, "neutral_df": texts},
        {**LRS, "neutral_df": texts, "max_size_neutral": 6},
        {**LRS, "neutral_df": masked},
        {**LRS, "training_like_df": own, "target_class": "F", "max_size": 4},
    )
    for neutral in (neutral_texts, None):
        data = (checkpoints[checkpoint], rows, neutral, calls)
        theirs = reference.evaluate(*data, target_classes=CLASSES)
        ours = evaluate_ours(*data, tmp_path / str(neutral is None), target_classes=CLASSES)
        for mine, wanted in zip(ours, theirs, strict=True):
            assert_same_result(mine, wanted)


def test_bad_values_are_refused_by_both(
    reference: Reference, checkpoints: dict[str, Path], rows: pd.DataFrame, tmp_path: Path
) -> None:
    calls = [
        {**LRS, "target_class": "X"},
        {**LRS, "target_class": ["M", "X"]},
        {**LRS, "split": "nowhere"},
        {**LRS, "split": []},
        {**LRS, "max_size": -1},
        {**LRS, "max_size_neutral": -3},
        {**LRS, "max_size_training_like": "many"},
        {**LRS, "eval_batch_size": 0},
        {**LRS, "increase_target_probabilities": "yes"},
        {**LRS, "plot": "yes"},
        {**LRS, "show": "yes"},
        {**LRS, "summary_metrics": ["unheard"]},
        {**LRS, "summary_metrics": ["unheard"], "summary_extractor": "gap"},
        {**LRS, "feature_factors": [0.5]},
        {**LRS, "feature_factors": []},
        {"lrs": []},
        {"lrs": 0.5},
    ]
    checkpoint = checkpoints["bert-all"]
    answers = reference.answers(checkpoint, rows, None, calls, target_classes=CLASSES)
    for call, answer in zip(calls, answers, strict=True):
        assert "refused" in answer, f"the reference takes {call}"
        with pytest.raises(GradiendUIError) as caught:
            evaluate_ours(checkpoint, rows, None, [call], tmp_path, target_classes=CLASSES)
        assert str(caught.value).endswith("."), call


@pytest.mark.parametrize("targets", [{"X": ["he"]}, "labels", {"M": "he", "F": ["she"]}], ids=str)
def test_bad_targets_are_refused_by_both(
    targets: Any, reference: Reference, checkpoints: dict[str, Path], rows: pd.DataFrame, tmp_path: Path
) -> None:
    options = {"target_classes": CLASSES, "decoder_eval_targets": targets}
    (answer,) = reference.answers(checkpoints["bert-all"], rows, None, [LRS], **options)
    assert "refused" in answer
    with pytest.raises(GradiendUIError):
        evaluate_ours(checkpoints["bert-all"], rows, None, [LRS], tmp_path, **options)


# --- every kind of model ---------------------------------------------------------------------------------------------

KINDS = ("roberta", "llama", "t5")


@pytest.fixture(scope="module")
def of_kind(
    reference: Reference, model_folder: Path, rows: pd.DataFrame, request: pytest.FixtureRequest
) -> Callable[[str], Path]:
    """A GRADIEND that the reference trained on the tiny model of that kind."""
    folders: dict[str, Path] = {}

    def checkpoint(kind: str) -> Path:
        if kind not in folders:
            base, out = request.getfixturevalue(f"tiny_{kind}"), model_folder / f"kind-{kind}"
            steps = {"max_steps": 4, "eval_steps": 4}
            answer = reference.ask("train", base=str(base), out=str(out), rows=rows.to_dict("records"), **steps)
            folders[kind] = Path(answer["checkpoint"])
        return folders[kind]

    return checkpoint


@pytest.mark.parametrize("neutral", [True, False], ids=["texts", "rows"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(
    kind: str,
    neutral: bool,
    reference: Reference,
    of_kind: Callable[[str], Path],
    rows: pd.DataFrame,
    neutral_texts: list[str],
    tmp_path: Path,
) -> None:
    small: dict[str, Any] = {"lrs": [3], "max_size": 8}
    calls = (
        {**small, "target_class": "F"},
        {**small, "increase_target_probabilities": False},
        {**small, "split": "all", "eval_batch_size": 3, "feature_factors": [-1, 0.5, 1]},
        *({**small, "part": part} for part in PARTS[1:]),
    )
    data = (of_kind(kind), rows, neutral_texts if neutral else None, calls)
    theirs = reference.evaluate(*data, target_classes=CLASSES)
    ours = evaluate_ours(*data, tmp_path, target_classes=CLASSES)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert_same_result(mine, wanted)
        base = wanted["grid"]["base"]["probs_by_dataset"]
        assert any(cell["probs_by_dataset"] != base for key, cell in wanted["grid"].items() if key != "base")


@pytest.mark.parametrize("kind", [tuple, np.array, torch.tensor, iter], ids=lambda kind: kind.__name__)
def test_axes_of_any_kind(
    kind: Callable[[list[float]], Any], checkpoints: dict[str, Path], rows: pd.DataFrame, tmp_path: Path
) -> None:
    data, small = (checkpoints["bert-all"], rows, None), {"max_size": 2}
    axes = {"lrs": [0.5, 2.0], "feature_factors": [1.0, -1.0]}
    (wanted,) = evaluate_ours(*data, [{**small, **axes}], tmp_path, target_classes=CLASSES)
    given = {name: kind(values) for name, values in axes.items()}
    assert evaluate_ours(*data, [{**small, **given}], tmp_path, target_classes=CLASSES) == [wanted]
    assert json.loads((tmp_path / "decoder_grid_cache.json").read_text())["lrs"] == [0.5, 2.0]
