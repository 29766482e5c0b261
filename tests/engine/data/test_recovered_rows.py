"""Rows and neutral texts out of encoded_values*.csv: whose class the ids name, what is left out, what is said."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from gradiend_ui.engine.checkpoint.companions import find_companions, recover, recovered_from
from gradiend_ui.engine.errors import BadData

TEXT = "then [MASK] slept ."


def line(source: str, factual: str, alternative: str, **changes: str) -> dict[str, str]:
    """One row of type "training" between the classes M (he) and F (she), as the reference writes it."""
    owner = {"he": "M", "she": "F", "it": "N"}
    own, other = owner[factual], owner[alternative]
    ids = {"source_id": own if source == "factual" else other, "target_id": other}
    token = {"factual": factual, "alternative": alternative, "diff": ""}[source]
    tokens = {"source_token": token, "factual_token": factual, "alternative_token": alternative}
    return {"type": "training", "template": TEXT, "data_split": "test", **ids, **tokens, **changes}


def write(folder: Path, lines: list[dict[str, str]], name: str = "encoded_values_split_test.csv") -> Path:
    pd.DataFrame(lines).to_csv(folder / name, index=False)
    return folder / name


def pairs(path: Path, source: str | None = None) -> list[tuple[str, str, str, str]]:
    rows = recovered_from(path, source).rows.rows
    return [(row.label, row.label_class, row.alternative, row.alternative_class) for row in rows]


@pytest.mark.parametrize("source", ["factual", "alternative"])
def test_the_rows_belong_to_the_class_of_the_factual_token(source: str, tmp_path: Path) -> None:
    path = write(tmp_path, [line(source, "he", "she"), line(source, "she", "he")])
    assert pairs(path) == [("he", "M", "she", "F"), ("she", "F", "he", "M")]


def test_of_three_classes_the_token_tells_which(tmp_path: Path) -> None:
    lines = [line("alternative", a, b) for a, b in (("he", "she"), ("she", "it"), ("it", "he"))]
    assert [pair[1] for pair in pairs(write(tmp_path, lines))] == ["M", "F", "N"]


def test_a_file_that_does_not_tell_takes_the_checkpoints_source(tmp_path: Path) -> None:
    path = write(tmp_path, [line("alternative", "he", "she", source_token="")])
    assert recovered_from(write(tmp_path, [line("factual", "he", "she", source_token="")]), "factual").rows.rows
    with pytest.raises(BadData, match="which token"):
        recovered_from(path, "diff")


def test_identities_and_broken_rows_are_left_out(tmp_path: Path) -> None:
    lines = [
        line("alternative", "he", "she"),
        line("alternative", "she", "he"),
        line("alternative", "he", "he", source_id="M", target_id="M"),
        line("alternative", "she", "he", template="no mask"),
    ]
    found = recovered_from(write(tmp_path, lines)).rows
    assert [row.label_class for row in found.rows] == ["M", "F"] and len(found.rejected) == 1


def test_the_fullest_file_is_taken_and_counted(tmp_path: Path) -> None:
    full = [line("factual", "he", "she"), line("factual", "she", "he")]
    neutral = {"type": "neutral_dataset", "template": "a [MASK] day.", "factual_token": "good"}
    write(tmp_path, full[:1], "encoded_values_max_size_1_split_test.csv")
    write(tmp_path, [*full, neutral])
    found, warnings = recover(tmp_path)
    assert found is not None and len(found.rows.rows) == 2 and found.neutral == ("a good day.",)
    assert warnings == (
        "2 rows and 1 neutral texts recovered from encoded_values_split_test.csv; the file may be capped or balanced.",
    )


def test_a_file_without_the_columns_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, [{"type": "training", "text": "x"}])
    found, warnings = recover(tmp_path)
    assert found is None and "no column 'template'" in warnings[0]
    assert recover(tmp_path / "nowhere") == (None, ())


def test_a_checkpoint_of_a_run_takes_rows_from_its_table_else_from_the_csv(tmp_path: Path) -> None:
    seed = tmp_path / "seeds" / "seed_3"
    seed.mkdir(parents=True)
    write(tmp_path, [line("factual", "he", "she"), line("factual", "she", "he")])
    for folder in (tmp_path / "model", seed):
        found = find_companions(folder, "factual")
        assert found.recovered and found.rows is not None and len(found.rows.rows) == 2
        assert found.examples == (TEXT, TEXT) and "2 rows recovered" in found.warnings[0]
    assert find_companions(tmp_path / "elsewhere").rows is None
    row = {"masked": TEXT, "label": "he", "label_class": "M", "alternative": "she", "alternative_class": "F"}
    pd.DataFrame([row]).to_csv(tmp_path / "eval.csv", index=False)
    found = find_companions(seed)
    assert not found.recovered and found.rows is not None and len(found.rows.rows) == 1 and not found.warnings
