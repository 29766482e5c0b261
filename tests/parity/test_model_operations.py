"""What a loaded model can do besides a rewrite: invert, prune, importances, top weights, encode, save. Bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gradiend_ui.engine.checkpoint.config import DECODER_BIAS, DECODER_WEIGHT, ENCODER_BIAS, ENCODER_WEIGHT
from gradiend_ui.engine.checkpoint.reading import load_tensors, read_checkpoint
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.errors import BadGrid
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.values import WEIGHT_PARTS
from tests.parity.reference import Reference
from tests.parity.rewrites import different, named_tensors

TOPK = 25
CELLS: list[dict[str, Any]] = [
    {"learning_rate": 0.3, "feature_factor": -1.0},
    {"learning_rate": -0.05, "feature_factor": 0.7},
    {"learning_rate": 0.3, "feature_factor": 1.0, "part": "decoder-sum"},
    {"learning_rate": 0.3, "feature_factor": 1.0, "part": "encoder-weight"},
]
Step = tuple[str, dict[str, Any]]
CASES: dict[str, tuple[str, list[Step]]] = {
    "as it is, all": ("bert-all", []),
    "as it is, mixed": ("bert-mixed", []),
    "as it is, tied": ("gpt2-indices", []),
    "inverted": ("bert-mixed", [("invert_encoding", {})]),
    "inverted, directions kept": ("bert-all", [("invert_encoding", {"update_direction": False})]),
    "inverted twice": ("bert-mask", [("invert_encoding", {}), ("invert_encoding", {})]),
    "top 500": ("bert-all", [("prune_gradiend", {"topk": 500, "return_mask": True})]),
    "top tenth by the encoder": (
        "bert-mask-bin",
        [("prune_gradiend", {"topk": 0.1, "part": "encoder-weight", "return_mask": True})],
    ),
    "above a threshold, then the top half": (
        "gpt2-indices",
        [("prune_gradiend", {"threshold": 1e-3, "topk": 0.5, "part": "decoder-sum", "return_mask": True})],
    ),
    "most of it, so that masks are stored": ("bert-all", [("prune_gradiend", {"topk": 0.7, "return_mask": True})]),
    "a copy, pruned twice, inverted": (
        "bert-mixed",
        [
            ("prune_gradiend", {"topk": 0.5, "inplace": False, "return_mask": True}),
            ("prune_gradiend", {"topk": 100, "inplace": False, "return_mask": True}),
            ("invert_encoding", {}),
        ],
    ),
}


def apply(model: ModelWithGradiend, steps: Sequence[Step]) -> tuple[ModelWithGradiend, list[list[int]]]:
    """Our side of the worker's ``operate``: the changed model and the masks as lists of kept places."""
    masks: list[list[int]] = []
    for name, arguments in steps:
        answer = getattr(model, name)(**arguments)
        if isinstance(answer, tuple):
            model, mask = answer
            masks.append(mask.nonzero().flatten().tolist())
    return model, masks


def operate(
    reference: Reference, checkpoint: Path, steps: Sequence[Step], out: Path, cells: Sequence[dict[str, Any]] = CELLS
) -> dict[str, Any]:
    answer: dict[str, Any] = reference.ask(
        "operate",
        checkpoint=str(checkpoint),
        steps=[list(step) for step in steps],
        cells=list(cells),
        out=str(out),
        topk=TOPK,
    )
    return answer


def assert_rewrites_agree(model: ModelWithGradiend, out: Path, cells: Sequence[dict[str, Any]] = CELLS) -> None:
    for index, cell in enumerate(cells):
        wanted = torch.load(out / f"{index}.pt", weights_only=True)
        assert different(named_tensors(model.rewrite_base_model(**cell)), wanted) == [], cell
        assert different(named_tensors(model.base_model), wanted), "a rewrite that changes nothing tests nothing"


@pytest.mark.parametrize("case", CASES)
def test_operations_agree(case: str, checkpoints: dict[str, Path], reference: Reference, tmp_path: Path) -> None:
    name, steps = CASES[case]
    theirs = operate(reference, checkpoints[name], steps, tmp_path)
    loaded = ModelWithGradiend.from_pretrained(checkpoints[name])
    base = named_tensors(loaded.base_model)
    model, masks = apply(loaded, steps)
    assert masks == theirs["masks"]
    assert [len(model), model.pruned_length(), model.unpruned_length()] == theirs["lengths"]
    assert model.param_map_hash == theirs["hash"]
    assert model.name == theirs["name"]
    if theirs["direction"] is not None:  # the reference reads none off training.json
        assert model.feature_class_encoding_direction == theirs["direction"]
    importances = torch.load(tmp_path / "importance.pt", weights_only=True)
    for part in WEIGHT_PARTS:
        assert torch.equal(model.get_weight_importance(part), importances[part]), part
        assert model.get_topk_weights(part, TOPK) == theirs["topk"][part], part
        for suffix in ("json", "csv"):
            ours = tmp_path / f"ours-{part}.{suffix}"
            model.export_topk_features(ours, part=part, topk=TOPK)
            assert ours.read_bytes() == (tmp_path / f"{part}.{suffix}").read_bytes()
    if theirs["enhancer"] is not None:
        assert model.get_enhancer_mask(0.01).nonzero().flatten().tolist() == theirs["enhancer"]
    assert_rewrites_agree(model, tmp_path)
    assert different(named_tensors(loaded.base_model), base) == [], "the base was changed"


@pytest.mark.parametrize("case", ["inverted", "top 500", "most of it, so that masks are stored", "as it is, tied"])
@pytest.mark.parametrize("use_safetensors", [True, False])
def test_saved_files_agree_and_load_on_both_sides(
    case: str, use_safetensors: bool, checkpoints: dict[str, Path], reference: Reference, tmp_path: Path
) -> None:
    name, steps = CASES[case]
    operate(reference, checkpoints[name], steps, tmp_path / "theirs")
    theirs = tmp_path / "theirs" / ("saved" if use_safetensors else "saved-bin")
    model, _ = apply(ModelWithGradiend.from_pretrained(checkpoints[name]), steps)
    ours = tmp_path / "ours"
    model.save_pretrained(ours, use_safetensors=use_safetensors)
    suffixes = {".safetensors", ".bin", ".pth"}
    files = [{path.name for path in folder.iterdir() if path.suffix in suffixes} for folder in (ours, theirs)]
    assert files[0] == files[1]
    configs = [json.loads((folder / "config.json").read_text()) for folder in (ours, theirs)]
    for part in ("format_version", "architecture", "mapping"):
        assert configs[0][part] == configs[1][part]
    assert configs[0]["metadata"]["base_model"] == configs[1]["metadata"]["base_model"]
    for file in files[0]:
        read = load_file if file.endswith(".safetensors") else torch.load
        left, right = read(ours / file), read(theirs / file)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) and left[key].dtype == right[key].dtype for key in left)
    operate(reference, ours, [], tmp_path / "again")
    assert_rewrites_agree(model, tmp_path / "again")
    assert_rewrites_agree(ModelWithGradiend.from_pretrained(theirs), tmp_path / "again")


def test_encodings_agree(checkpoints: dict[str, Path], reference: Reference, tmp_path: Path) -> None:
    model = ModelWithGradiend.from_pretrained(checkpoints["bert-mixed"])
    gradients = torch.randn(len(model), generator=torch.Generator().manual_seed(3)) * 0.05
    torch.save(gradients, tmp_path / "gradients.pt")
    theirs = operate(reference, checkpoints["bert-mixed"], [], tmp_path)
    encoded = model.encode(gradients)
    assert isinstance(encoded, torch.Tensor)
    assert encoded.tolist() == theirs["encoded"]
    assert model.encode(gradients, return_float=True) == theirs["encoded"][0]
    assert 0.001 < abs(theirs["encoded"][0]) < 0.999


def widened(checkpoint: Path, folder: Path) -> Path:
    """The same GRADIEND with a second latent, drawn at random."""
    read = read_checkpoint(checkpoint)
    weights, positions = load_tensors(read)
    generator = torch.Generator().manual_seed(7)
    n = read.architecture.input_dim
    wider = {
        ENCODER_WEIGHT: torch.cat([weights[ENCODER_WEIGHT], torch.randn(1, n, generator=generator) * 0.1]),
        ENCODER_BIAS: torch.cat([weights[ENCODER_BIAS], torch.randn(1, generator=generator)]),
        DECODER_WEIGHT: torch.cat([weights[DECODER_WEIGHT], torch.randn(n, 1, generator=generator) * 0.1], dim=1),
        DECODER_BIAS: weights[DECODER_BIAS],
    }
    save_checkpoint(
        folder,
        architecture=replace(read.architecture, latent_dim=2),
        weights=wider,
        shapes={entry.name: entry.shape for entry in read.entries},
        positions=positions,
        metadata=read.metadata,
        context={"source": read.source, "target": read.target},
    )
    return folder


@pytest.mark.parametrize("name", ["bert-all", "bert-mixed"])
def test_two_latents_agree(name: str, checkpoints: dict[str, Path], reference: Reference, tmp_path: Path) -> None:
    """A list as feature factor; bias and sum are single updates; the two weight parts are refused by both."""
    checkpoint = widened(checkpoints[name], tmp_path / "wide")
    cells: list[dict[str, Any]] = [
        {"learning_rate": 0.3, "feature_factor": [-1.0, 0.5]},
        {"learning_rate": 0.3, "feature_factor": [2, 0.0]},
        {"learning_rate": 0.3, "feature_factor": [1.0, 1.0], "part": "decoder-bias"},
        {"learning_rate": 0.3, "feature_factor": 1.0, "part": "decoder-sum"},
    ]
    odd: list[dict[str, Any]] = [
        {"learning_rate": 0.3, "feature_factor": [1.0, 1.0], "part": part}
        for part in ("decoder-weight", "encoder-weight")
    ]
    theirs = operate(reference, checkpoint, [], tmp_path / "out", cells + odd)
    model = ModelWithGradiend.from_pretrained(checkpoint)
    assert model.gradiend.latent_dim == 2
    assert_rewrites_agree(model, tmp_path / "out", cells)
    assert [index for index, _ in theirs["refused"]] == [4, 5]
    for cell in odd:
        with pytest.raises(BadGrid, match="latent_dim 1"):
            model.rewrite_base_model(**cell)
    for part in WEIGHT_PARTS:
        assert model.get_topk_weights(part, TOPK) == theirs["topk"][part]


@pytest.mark.parametrize("change", ["module.", "_orig_mod.module.", "without bert."])
def test_other_spellings_of_the_parameters(
    change: str, checkpoints: dict[str, Path], reference: Reference, tmp_path: Path
) -> None:
    """Names with the prefixes of training wrappers, and names local to the backbone."""
    folder = shutil.copytree(checkpoints["bert-mixed"], tmp_path / "renamed")
    config = json.loads((folder / "config.json").read_text())
    for entry in config["mapping"]["param_map"]:
        entry["name"] = entry["name"].removeprefix("bert.") if change == "without bert." else change + entry["name"]
    (folder / "config.json").write_text(json.dumps(config))
    cells = CELLS[:2]
    operate(reference, folder, [], tmp_path / "theirs", cells)
    model = ModelWithGradiend.from_pretrained(folder)
    assert_rewrites_agree(model, tmp_path / "theirs", cells)
    model.save_pretrained(tmp_path / "saved")
    operate(reference, tmp_path / "saved", [], tmp_path / "resaved", cells)
    assert_rewrites_agree(model, tmp_path / "resaved", cells)
