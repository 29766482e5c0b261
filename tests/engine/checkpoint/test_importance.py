"""Importance per part, the top k, and global indices decoded to parameter and place."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from gradiend_ui.engine.checkpoint.autoencoder import Autoencoder
from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
    MapEntry,
)
from gradiend_ui.engine.checkpoint.importance import (
    COLUMNS,
    decode_global_index,
    feature_rows,
    global_indices,
    top_indices,
    weight_importance,
    write_feature_rows,
)
from gradiend_ui.engine.errors import BadGrid, BadName, Failed
from gradiend_ui.engine.model import ModelWithGradiend

ENTRIES = (
    MapEntry("a", (2, 3), "indices", "L0", 2),
    MapEntry("b", (4,), "all", None, 4),
    MapEntry("c", (2, 2, 2), "indices", "L2", 0),
    MapEntry("d", (2, 2, 2), "mask", "L3", 1),
)
POSITIONS = {"a": torch.tensor([1, 5]), "c": torch.tensor([], dtype=torch.long), "d": torch.tensor([6])}


def small(bias: bool = True, latent_dim: int = 1) -> Autoencoder:
    """7 mapped weights with importances that can be told by heart."""
    values = torch.tensor([1.0, -7.0, 3.0, -2.0, 5.0, 4.0, -6.0])
    weights = {
        ENCODER_WEIGHT: torch.stack([values.flip(0)] * latent_dim),
        ENCODER_BIAS: torch.zeros(latent_dim),
        DECODER_WEIGHT: torch.stack([values, *[torch.ones(7)] * (latent_dim - 1)], dim=1),
    }
    if bias:
        weights[DECODER_BIAS] = torch.tensor([0.0, 8.0, 0.0, 0.0, -5.0, 0.0, 0.5])
    return Autoencoder(Architecture(7, latent_dim, bias_decoder=bias), weights)


def test_importance_of_every_part() -> None:
    gradiend = small()
    assert weight_importance(gradiend).tolist() == [1, 7, 3, 2, 5, 4, 6]
    assert weight_importance(gradiend, "Encoder-Weight").tolist() == [6, 4, 5, 2, 3, 7, 1]
    assert weight_importance(gradiend, "decoder-bias").tolist() == [0, 8, 0, 0, 5, 0, 0.5]
    assert weight_importance(gradiend, "decoder-sum").tolist() == [1, 1, 3, 2, 0, 4, 5.5]
    assert weight_importance(small(bias=False), "decoder-bias").tolist() == [0] * 7
    assert weight_importance(small(bias=False), "decoder-sum").tolist() == [1, 7, 3, 2, 5, 4, 6]
    assert weight_importance(small(latent_dim=2)).tolist() == [2, 8, 4, 3, 6, 5, 7]
    assert weight_importance(small(latent_dim=2), "decoder-sum").tolist() == [2, 2, 4, 1, 1, 5, 4.5]
    with pytest.raises(BadGrid, match="'decoder'"):
        weight_importance(gradiend, "decoder")


@pytest.mark.parametrize(
    ("topk", "expected"), [(3, [1, 6, 4]), (0, [1]), (99, 7), (0.3, [1, 6, 4]), (1.0, 7), (1, [1])]
)
def test_top_indices(topk: float, expected: list[int] | int) -> None:
    found = top_indices(weight_importance(small()), topk)
    assert found == expected if isinstance(expected, list) else len(found) == expected


@pytest.mark.parametrize("topk", [-1, 0.0, 1.1, True, None, "3", math.nan, torch.tensor([1, 2])])
def test_top_indices_refuses(topk: Any) -> None:
    with pytest.raises(BadGrid, match="topk"):
        top_indices(torch.ones(3), topk)


def test_global_indices_count_through_whole_parameters() -> None:
    assert global_indices(ENTRIES, POSITIONS).tolist() == [1, 5, 6, 7, 8, 9, 24]
    assert decode_global_index(ENTRIES, 5) == {
        "param_name": "a",
        "param_shape": [2, 3],
        "param_numel": 6,
        "flat_index_in_param": 5,
        "coords": [1, 2],
        "param_row": 1,
        "param_col": 2,
    }
    vector = decode_global_index(ENTRIES, 9)
    assert (vector["param_name"], vector["coords"], vector["param_row"], vector["param_col"]) == ("b", [3], 3, None)
    assert decode_global_index(ENTRIES, 24)["coords"] == [1, 1, 0]
    assert decode_global_index(ENTRIES, 17)["param_name"] == "c"
    for outside in (-1, 26):
        with pytest.raises(BadGrid, match="0 to 25"):
            decode_global_index(ENTRIES, outside)


def test_rows_and_files(tmp_path: Path) -> None:
    rows = feature_rows(small(), ENTRIES, POSITIONS, "decoder-weight", 2)
    assert [(row["rank"], row["importance"], row["local_input_index"], row["base_global_index"]) for row in rows] == [
        (1, 7.0, 1, 5),
        (2, 6.0, 6, 24),
    ]
    write_feature_rows(rows, tmp_path / "new" / "top.json")
    assert json.loads((tmp_path / "new" / "top.json").read_text()) == rows
    write_feature_rows(rows, tmp_path / "top.CSV")
    with (tmp_path / "top.CSV").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert tuple(read[0]) == COLUMNS
    assert read[1]["coords"] == "[1, 1, 0]" and read[1]["param_shape"] == "[2, 2, 2]" and read[1]["param_col"] == "1"
    with pytest.raises(BadName, match=".json or .csv"):
        write_feature_rows(rows, tmp_path / "top.txt")


def test_a_file_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "top.json").write_text("before")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(Failed, match="No space left"):
        write_feature_rows([], tmp_path / "top.json")
    assert [path.name for path in tmp_path.iterdir()] == ["top.json"]
    assert (tmp_path / "top.json").read_text() == "before"


def test_global_indices_do_not_depend_on_pruning(model: ModelWithGradiend) -> None:
    before = model.get_topk_weights(topk=40)
    pruned = model.prune_gradiend(topk=60, inplace=False)
    assert isinstance(pruned, ModelWithGradiend)
    assert pruned.get_topk_weights(topk=40) == before
    rows = pruned.get_topk_feature_metadata(topk=40)
    assert [row["base_global_index"] for row in rows] == before
    parameters = dict(model.base_model.named_parameters())
    whole = {row["base_global_index"]: row for row in model.get_topk_feature_metadata(topk=40)}
    for row in rows:
        assert row["local_input_index"] < 60
        assert parameters[row["param_name"]].shape == torch.Size(row["param_shape"])
        assert {key: row[key] for key in ("param_name", "coords", "importance")} == {
            key: whole[row["base_global_index"]][key] for key in ("param_name", "coords", "importance")
        }
