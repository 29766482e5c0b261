"""Checkpoints as a stranger may send them: a valid tiny run, and every way to damage it that the tests beside use.

A damage is a function of the run's folder. JSON is damaged at every place that the valid file has, weights at every
place that the format has. Nothing here opens what it wrote.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from gradiend_ui.engine.checkpoint.config import (
    DECODER_BIAS,
    DECODER_WEIGHT,
    ENCODER_BIAS,
    ENCODER_WEIGHT,
    Architecture,
)
from gradiend_ui.engine.checkpoint.finished_grid import GridCache, write_grid_cache
from gradiend_ui.engine.checkpoint.writing import save_checkpoint
from gradiend_ui.engine.values import Cell, CellScore

Damage = Callable[[Path], object]
MODEL, WEIGHTS, INDICES, MASKS = (
    "model",
    "model.safetensors",
    "mapping_indices.safetensors",
    "mapping_masks.safetensors",
)
JSON_FILES = (
    "model/config.json",
    "model/gradiend_context.json",
    "model/training.json",
    "seeds/seed_report.json",
    "decoder_grid_cache.json",
    "demo.json",
)
PLACE = '"@hostile@"'
DEEP = 10_000
HOSTILE_VALUES = (
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "1.5",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "-Infinity",
    "9" * 400,
    "1" * 5000,
    "-9223372036854775809",
    "1000000000000",
    "1e12",
    "[]",
    "{}",
    "[1, 2]",
    '{"a": 1}',
    '{"a": 1, "a": 2}',
    '""',
    '"1"',
    '" "',
    r'"\u0000"',
    r'"\ud800"',
    r'"a\u202eb"',
    '"../../outside"',
    '"/etc/passwd"',
    '"/etc"',
    '"~"',
    '"."',
    '"C:\\\\x"',
    '"owner/name"',
    '"<script>alert(1)</script>"',
    '"' + "x" * 10_000_000 + '"',
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    "[" + "{}," * 200_000 + "{}]",
    "[[[[[]]]]]",
    '[null, "a", 1e999]',
)
WHOLE_FILES: Mapping[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "empty object": b"{}",
    "text": b'"x"',
    "half": b'{"architecture": {"input_',
    "zero bytes": b"\x00" * 4096,
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "latin-1": '{"ä": 1}'.encode("latin-1"),
    "spaces": b" " * (16 * 2**20),
    "too large": b'{"a": "' + b"x" * (65 * 2**20) + b'"}',
    "deep": b"[" * 200_000,
    "commas": b"[" + b"0," * 3_000_000 + b"0]",
    "pickle": b"\x80\x04cposix\nsystem\n(S'true'\ntR.",
}


def save_run(folder: Path, base: Path, mapping: str = "mixed") -> Path:
    """A whole run at `folder`: model/, seeds/, eval.csv, neutral.csv, demo.json and a finished sweep."""
    masked = "gpt2" not in base.name
    model = (AutoModelForMaskedLM if masked else AutoModelForCausalLM).from_pretrained(base)
    own = dict(model.named_parameters())
    names = [name for name in own if own[name].ndim == 2 and "layer" in name or ".h." in name and own[name].ndim == 2]
    shares = {"all": (1.0, 1.0), "indices": (0.05, 0.05), "mask": (0.5, 0.5), "mixed": (0.05, 0.5)}[mapping]
    generator = torch.Generator().manual_seed(3)
    positions: dict[str, torch.Tensor] = {}
    for name, share in zip(names[:2], shares, strict=True):
        if share < 1.0:
            numel = own[name].numel()
            positions[name] = torch.randperm(numel, generator=generator)[: int(share * numel)].sort().values
    shapes = {name: tuple(own[name].shape) for name in names[:2]}
    count = sum(positions[name].numel() if name in positions else own[name].numel() for name in shapes)
    save_checkpoint(
        folder / MODEL,
        architecture=Architecture(input_dim=count, latent_dim=1),
        weights={
            ENCODER_WEIGHT: torch.randn(1, count, generator=generator) * 0.1,
            ENCODER_BIAS: torch.zeros(1),
            DECODER_WEIGHT: torch.randn(count, 1, generator=generator) * 0.1,
            DECODER_BIAS: torch.zeros(count),
        },
        shapes=shapes,
        positions=positions,
        metadata={"base_model": str(base), "prediction_objective": "auto", "tokenizer": str(base)},
        context={
            "source": "factual",
            "target": "diff",
            "feature_class_encoding_direction": {"M": 1.0, "F": -1.0},
        },
        training={
            "training_args": {"source": "factual", "decoder_sequence_cloze_rhs_window": -1},
            "training_stats": {"mean_by_feature_class": {"5": {"M": 0.8, "F": -0.7}}, "correlation": 0.9},
            "best_score_checkpoint": {"global_step": 5, "correlation": 0.9},
            "convergence_info": {"converged": True},
        },
        use_safetensors=True,
    )
    _save_beside(folder)
    return folder


def _save_beside(folder: Path) -> None:
    (folder / "seeds").mkdir()
    runs = [{"seed": 1, "output_dir": "/x/seed_1", "eval_correlation": 0.5, "converged": True, "selection_score": 0.5}]
    (folder / "seeds" / "seed_report.json").write_text(json.dumps({"runs": runs, "best_seed": 1}))
    rows = [
        {
            "masked": f"{name} said [MASK] sings",
            "split": "test",
            "label": word,
            "label_class": own,
            "alternative": other,
        }
        | {"alternative_class": "F" if own == "M" else "M"}
        for name in ("Ann", "Bob", "the singer")
        for word, own, other in (("he", "M", "she"), ("she", "F", "he"))
    ]
    pd.DataFrame(rows).to_csv(folder / "eval.csv", index=False)
    pd.DataFrame({"text": ["the table is long", "we see a house"]}).to_csv(folder / "neutral.csv", index=False)
    manifest = {
        "rows": "eval.csv",
        "neutral": {"plain": "neutral.csv"},
        "neutral_set": "plain",
        "examples": ["a [MASK]"],
    }
    (folder / "demo.json").write_text(json.dumps(manifest))
    scores = tuple(
        CellScore(
            cell=cell,
            status="final",
            probs_by_dataset={"M": {"M": 0.5, "F": 0.3}, "F": {"M": 0.2, "F": 0.6}},
            lms={"lms": 0.5},
            rows_done=1,
            rows_total=1,
        )
        for cell in (None, Cell(-1.0, 0.01), Cell(1.0, 0.01))
    )
    cache = GridCache("decoder", "test", None, None, (-1.0, 1.0), (0.01,), scores, "strengthen", ("F", "M"))
    write_grid_cache(folder / "decoder_grid_cache.json", cache, ["F", "M"])


def copy_of(run: Path, folder: Path) -> Path:
    """A copy that may be damaged by `put`: files are linked, not copied."""
    return Path(shutil.copytree(run, folder, copy_function=os.link, symlinks=True))


def put(path: Path, content: bytes) -> None:
    """Replace a file as a whole; the file it was linked to stays as it is."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


# --- JSON -------------------------------------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value, the whole first."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield from places(inside, (*path, key))


def with_value(text: str, path: tuple[Any, ...], raw: str) -> bytes:
    """The JSON with other raw text at a place; "" takes the key away."""
    content = json.loads(text)
    if not path:
        return raw.encode()
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    if raw:
        holder[path[-1]] = json.loads(PLACE)
        return json.dumps(content).replace(PLACE, raw).encode()
    del holder[path[-1]]
    return json.dumps(content).encode()


def with_twice(text: str, key: str) -> bytes:
    """The JSON object with a key twice."""
    content = json.loads(text)
    return (json.dumps(content)[:-1] + f", {json.dumps(key)}: {json.dumps(content[key])}}}").encode()


# --- safetensors ------------------------------------------------------------------------------------------------------


def packed(header: object, data: bytes = b"", *, claimed: int | None = None) -> bytes:
    """A safetensors file with this header (raw text as it is), whatever it claims."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if claimed is None else claimed) + raw + data


def entry(dtype: str, shape: list[Any], start: int, stop: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def header_and_data(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def changed_header(name: str, change: Callable[[dict[str, Any]], object], more: bytes = b"") -> Damage:
    def damage(run: Path) -> None:
        header, data = header_and_data(run / MODEL / name)
        change(header)
        put(run / MODEL / name, packed(header, data + more))

    return damage


def changed_tensors(name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    def damage(run: Path) -> None:
        from safetensors.torch import save_file

        tensors = {key: tensor.clone() for key, tensor in load_file(run / MODEL / name).items()}
        change(tensors)
        (run / MODEL / name).unlink()
        save_file(tensors, run / MODEL / name)

    return damage


def content_of(name: str, content: bytes) -> Damage:
    return lambda run: put(run / MODEL / name, content)


def cut(name: str, share: float) -> Damage:
    def damage(run: Path) -> None:
        content = (run / MODEL / name).read_bytes()
        put(run / MODEL / name, content[: int(share * len(content))])

    return damage


def instead(name: str, make: Callable[[Path], object]) -> Damage:
    """Something else than a plain file in the place of a file of the checkpoint."""

    def damage(run: Path) -> None:
        path = run / MODEL / name
        path.unlink()
        make(path)

    return damage


def bind_socket(path: Path) -> None:
    there = os.getcwd()
    os.chdir(path.parent)  # the address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(there)


SPECIAL_FILES: Mapping[str, Callable[[Path], object]] = {
    "fifo": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "socket": bind_socket,
    "link to itself": lambda path: path.symlink_to(path.name),
    "link outside": lambda path: path.symlink_to("/etc/passwd"),
    "link to nothing": lambda path: path.symlink_to("nothing"),
}
_N = "encoder.0.linear.weight"


def _fill(tensor: torch.Tensor, value: float) -> None:
    tensor.reshape(-1)[0] = value


def weight_damages() -> dict[str, Damage]:
    """Damages of model.safetensors by name."""
    many = (
        b"{" + b",".join(b'"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % n for n in range(200_000)) + b"}"
    )
    pickle = b"PK\x03\x04" + b"\x80\x02}q\x00." * 20
    found: dict[str, Damage] = {f"cut at {share}": cut(WEIGHTS, share) for share in (0.0, 0.001, 0.01, 0.3, 0.6, 0.999)}
    found |= {
        f"raw {number}": content_of(WEIGHTS, content)
        for number, content in enumerate(
            (
                b"",
                b"\x00" * 7,
                b"\x00" * 8,
                packed(b"{}"),
                packed(b"[]"),
                packed(b"{}", claimed=10 * 2**30),
                packed(b"{}", claimed=2**64 - 1),
                packed(b" " * (16 * 2**20)),
                packed(many),
                pickle,
                packed(b'{"a":' * 5000 + b"1" + b"}" * 5000),
                packed(b"\xff\xfe{}"),
                packed(b'{"a":{"dtype":"F32"}}'),
                packed({"a": entry("F32", [10**12], 0, 4 * 10**12)}),
                packed({"a": entry("F32", [2**62, 4], 0, 0)}),
                packed({"a": entry("F32", ["9" * 30], 0, 4)}, b"0000"),
                packed(b'{"a":1,"a":2}'),
                packed({"a": entry("F32", [1] * 5000, 0, 4)}, b"0000"),
                packed({"\ud800": entry("F32", [1], 0, 4)}, b"0000"),
                packed({"a": entry("F32", [], 0, 4)}, b"0000"),
                packed({"__metadata__": [1]}),
                packed({"__metadata__": {"a": 1}}),
            )
        )
    }
    found |= {
        "overlap": changed_header(WEIGHTS, lambda h: h[DECODER_WEIGHT].update(data_offsets=h[_N]["data_offsets"])),
        "gap": changed_header(WEIGHTS, lambda h: None, b"0000"),
        "extra": changed_tensors(WEIGHTS, lambda t: t.update(extra=torch.zeros(3))),
        "missing": changed_tensors(WEIGHTS, lambda t: t.pop(DECODER_WEIGHT)),
        "zero dims": changed_tensors(WEIGHTS, lambda t: t.update({_N: torch.zeros(1, 0)})),
        "scalar": changed_tensors(WEIGHTS, lambda t: t.update({ENCODER_BIAS: torch.tensor(1.0)})),
        "transposed": changed_tensors(WEIGHTS, lambda t: t.update({_N: t[_N].T.contiguous()})),
        "norm": changed_tensors(WEIGHTS, lambda t: t.update({"encoder.1.weight": torch.zeros(1)})),
    }
    found |= {
        f"value {v}": changed_tensors(WEIGHTS, lambda t, v=v: _fill(t[_N], v)) for v in (float("nan"), float("inf"))
    }
    dtypes = (torch.int8, torch.bool, torch.int64, torch.uint8, torch.float8_e4m3fn, torch.complex64)
    found |= {f"as {d}": changed_tensors(WEIGHTS, lambda t, d=d: t.update({_N: t[_N].to(d)})) for d in dtypes}
    found |= {f"as {d}": changed_tensors(WEIGHTS, lambda t, d=d: t.update({_N: t[_N].to(d)})) for d in (torch.float16,)}
    found |= {
        "float64 overflow": changed_tensors(
            WEIGHTS, lambda t: t.update({_N: t[_N].double().index_fill(1, torch.tensor([0]), 1e300)})
        ),
    }
    return found | {f"a {kind} as weights": instead(WEIGHTS, make) for kind, make in SPECIAL_FILES.items()}


def _first(tensors: dict[str, torch.Tensor], change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    name = next(iter(tensors))
    tensors[name] = change(tensors[name])


def _set(tensor: torch.Tensor, place: int, value: int) -> torch.Tensor:
    tensor[place] = value
    return tensor


def mapping_damages() -> dict[str, Damage]:
    """Damages of the mapping files by name."""
    changes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "minus one": lambda t: _set(t, 0, -1),
        "far out": lambda t: _set(t, 0, 2**31 - 1),
        "numel": lambda t: _set(t, 0, 32 * 32),
        "twice": lambda t: _set(t, 0, int(t[1])),
        "unsorted": lambda t: t.flip(0).contiguous(),
        "float": lambda t: t.float(),
        "int8": lambda t: t.to(torch.int8),
        "one less": lambda t: t[1:].contiguous(),
        "none": lambda t: t[:0].contiguous(),
        "two dimensions": lambda t: t[None].contiguous(),
        "nan": lambda t: t.float() * float("nan"),
    }
    found: dict[str, Damage] = {
        f"indices {name}": changed_tensors(INDICES, lambda t, change=change: _first(t, change))
        for name, change in changes.items()
    }
    found |= {
        f"masks {name}": changed_tensors(MASKS, lambda t, change=change: _first(t, change))
        for name, change in {
            "all": torch.ones_like,
            "none": torch.zeros_like,
            "shorter": lambda t: t.reshape(-1)[1:].contiguous(),
            "float": lambda t: t.float(),
            "twos": lambda t: t * 2,
        }.items()
    }
    for name in (INDICES, MASKS):
        found |= {f"{name} cut at {share}": cut(name, share) for share in (0.0, 0.1, 0.9)}
        found |= {f"a {kind} as {name}": instead(name, make) for kind, make in SPECIAL_FILES.items()}
    return found


def config_damages() -> dict[str, Damage]:
    """Special files and whole contents in the place of JSON files."""
    found: dict[str, Damage] = {}
    for name in JSON_FILES:
        found |= {f"{kind} as {name}": lambda run, n=name, c=c: put(run / n, c) for kind, c in WHOLE_FILES.items()}
        found |= {
            f"a {kind} as {name}": lambda run, n=name, make=make: ((run / n).unlink(), make(run / n))
            for kind, make in SPECIAL_FILES.items()
        }
        found |= {
            f"{name} with a byte order mark": lambda run, n=name: put(run / n, b"\xef\xbb\xbf" + (run / n).read_bytes())
        }
    return found
