"""Uploads made to read or name what is not theirs, drawn at random: a whole run with its base, damaged in a few places.

A damage is a string field of any of its JSON files that becomes a path, an address, a name or a number out of range, a
field of that kind that is added, or a link, device or pipe in the place of a file. `judged` takes such an upload in and
opens it as a public server does, and looks for the canary in what came out. Knows no test and no program.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from gradiend_ui.engine.base import rebuilding, uploaded
from gradiend_ui.engine.errors import GradiendUIError
from gradiend_ui.engine.files.text_limit import STRANGERS_BYTES, text_at_most
from gradiend_ui.engine.worker import tables
from gradiend_ui.engine.worker.requests import Load
from gradiend_ui.engine.worker.worker import Worker
from tests.support import checkpoints_hostile as hostile

CANARY, CANARY_WEIGHT = "canary-3141592653", 0.271828
JSON_FILES = (
    *hostile.JSON_FILES, "base/config.json", "base/generation_config.json", "base/tokenizer_config.json",
    "base/special_tokens_map.json", "base/added_tokens.json", "base/tokenizer.json", "base/config_mlm_head.json",
    "base/model.safetensors.index.json", "model/tokenizer_config.json",
)  # fmt: skip
LARGE = ("vocab", "merges")
"""Parts of a tokenizer.json whose thousands of words are not damaged one by one."""
PATHS = (
    "{outside}/private.safetensors", "{outside}/words.txt", "{outside}/words.json", "{outside}", "/etc/passwd", "/etc",
    "/dev/zero", "/proc/self/environ", "~", "~/.ssh/id_rsa", "../../../outside/words.txt", "..", ".", "base", "../base",
    "../model", "base/../../x", "C:\\x", "\\\\host\\share\\x", "model.safetensors", "words.txt", "x/../../y",
)  # fmt: skip
ADDRESSES = ("http://127.0.0.1:9/x", "https://x.y/z.safetensors", "file:///etc/passwd", "hf://owner/name", "ftp://x")
NAMES = ("owner/name", "gpt2", "owner/name--file.Class", "kernels-community/x", "a" * 300, "", " ", "x.y.Z")
NUMBERS = (-1, 0, 2**31, 2**63, 10**30, 1e308, -0.5, float("nan"), float("inf"), True)
FIELDS = (
    "vocab", "vocab_file", "merges", "tokenizer_file", "auto_map", "transformers_weights", "_name_or_path", "tokenizer",
    "quantization_config", "attn_implementation", "gguf_file", "init_inputs", "base_model", "text_config",
    "extra_special_tokens", "fast_tokenizer_files", "configuration_files", "added_tokens_decoder", "weight_map", "rows",
    "tokenizer_class", "masks_file", "indices_file", "output_dir", "source", "model_type", "unheard_of",
    "name_or_path", "chat_template",
)  # fmt: skip
SPECIAL_PLACES = (
    "base/model.safetensors", "base/tokenizer.json", "base/config.json", "base/vocab.txt", "base/merges.txt", "base",
    "base/model-00001-of-00001.safetensors", "model/model.safetensors", "model/config.json", "model/training.json",
    "eval.csv", "neutral.csv", "demo.json", "seeds/seed_report.json", "base/chat_template.jinja", "base/x.model",
)  # fmt: skip


@dataclass(frozen=True)
class Harm:
    """One damage. file: which one. place: the path in its JSON, None for a field to add or a special file. value: what
    is put there. kind: of a special file, "" for JSON."""

    file: str
    place: tuple[Any, ...] | None
    value: Any
    kind: str = ""

    @property
    def told(self) -> str:
        return f"{self.kind or json.dumps(self.value)[:60]} at {self.file} {self.place or ''}"


def save_upload(folder: Path, base: Path) -> Path:
    """A whole run with its base in `folder`, every JSON file of `JSON_FILES` that a run may have among it."""
    run = hostile.save_run(folder, base)
    shutil.copytree(base, run / "base")
    config = json.loads((run / "model/config.json").read_text())
    config["metadata"] = {"base_model": "../base", "tokenizer": "../base", "prediction_objective": "auto"}
    hostile.put(run / "model/config.json", json.dumps(config).encode())
    marks = {"mask_token": "[MASK]", "unk_token": "[UNK]", "additional_special_tokens": ["[CLS]"]}
    (run / "base/special_tokens_map.json").write_text(json.dumps(marks))
    (run / "base/generation_config.json").write_text(json.dumps({"transformers_version": "5.0", "max_length": 20}))
    (run / "base/added_tokens.json").write_text("{}")
    return run


def save_canary(folder: Path, base: Path) -> Path:
    """What nothing may read: weights of the base's shapes, and words."""
    folder.mkdir(parents=True)
    weights = {name: torch.full_like(one, CANARY_WEIGHT) for name, one in load_file(base / "model.safetensors").items()}
    save_file(weights, folder / "private.safetensors", metadata={"format": "pt"})
    (folder / "words.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", CANARY]))
    (folder / "words.json").write_text(json.dumps({CANARY: 0, "[UNK]": 1}))
    return folder


@cache
def harms(run: Path) -> st.SearchStrategy[tuple[list[Harm], bool]]:
    """(damages, whether the upload is a zip) for the valid upload at `run`."""
    texts = [
        (file, place)
        for file in JSON_FILES
        if (run / file).is_file()
        for place in hostile.places(json.loads((run / file).read_text()))
        if isinstance(_at(json.loads((run / file).read_text()), place), str) and not any(p in LARGE for p in place)
    ]
    numbers = [
        (file, place)
        for file in JSON_FILES
        if (run / file).is_file() and file != "base/tokenizer.json"
        for place in hostile.places(json.loads((run / file).read_text()))
        if isinstance(_at(json.loads((run / file).read_text()), place), (int, float))
    ]
    word = st.sampled_from((*PATHS, *ADDRESSES, *NAMES))
    value = word | st.sampled_from(NUMBERS) | st.lists(word, max_size=2) | st.dictionaries(word, word, max_size=2)
    changed = st.builds(lambda where, value: Harm(*where, value), st.sampled_from(texts), value)
    numbered = st.builds(
        lambda where, value: Harm(*where, value), st.sampled_from(numbers), st.sampled_from(NUMBERS) | word
    )
    added = st.builds(
        lambda file, field, value: Harm(file, None, {field: value}),
        st.sampled_from(JSON_FILES),
        st.sampled_from(FIELDS),
        value,
    )
    special = st.builds(
        lambda file, kind: Harm(file, None, None, kind),
        st.sampled_from(SPECIAL_PLACES),
        st.sampled_from(sorted(hostile.SPECIAL_FILES)),
    )
    return st.tuples(st.lists(changed | added | changed | numbered | special, min_size=1, max_size=3), st.booleans())


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


def do(harm: Harm, run: Path, outside: Path) -> None:
    """Damage the copy at `run`."""
    path = run / harm.file
    if harm.kind:
        if path.parent.is_dir():  # an earlier damage may have put something else there
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            hostile.SPECIAL_FILES[harm.kind](path)
        return
    try:
        content = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError:
        return
    value = json.loads(json.dumps(harm.value).replace("{outside}", str(outside)))
    if harm.place is None:
        content = {**content, **value} if isinstance(content, dict) else content
    else:
        try:
            holder = _at(content, harm.place[:-1])
            holder[harm.place[-1]] = value
        except (KeyError, IndexError, TypeError):
            return
    if path.parent.is_dir():
        hostile.put(path, json.dumps(content).encode())


def packed(run: Path, path: Path) -> Path:
    """A zip of the upload; links become entries that say so, pipes are left out."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(run.rglob("*")):
            name = file.relative_to(run).as_posix()
            if file.is_symlink():
                info = zipfile.ZipInfo(name)
                info.create_system, info.external_attr = 3, 0o120777 << 16
                archive.writestr(info, os.readlink(file))
            elif file.is_file():
                archive.write(file, name)
    return path


def judged(worker: Worker, run: Path, uploads: Path, place: Path, *, as_zip: bool) -> str:
    """Take in and open the damaged upload at `run`: "ok", "ok with a note", or the code of the refusal.

    place: a free folder to work in. Raises AssertionError where the canary came through or paths of the server are
    told, and whatever else is no typed refusal.
    """
    try:
        if as_zip:
            source = uploaded.take_in(packed(run, place / "upload.zip"), uploads, strangers=True)
        else:
            source = Path(shutil.copytree(run, uploads / os.urandom(32).hex(), symlinks=True, copy_function=copied))
        card = worker.answer(Load(str(source), {}, name="upload"))
    except GradiendUIError as error:
        assert CANARY not in str(error) and str(uploads.parent) not in str(error), str(error)
        return error.code
    model = worker._resources.checkpoint(card["checkpoint"]).model
    told = json.dumps(card) + json.dumps(model.base.tokenizer.get_vocab())
    assert CANARY not in told and str(uploads.parent) not in told
    assert not any(bool((one == CANARY_WEIGHT).any()) for one in model.base.model.parameters())
    worker._resources.forget()
    return "ok with a note" if uploaded.notes_on(source, uploads) else "ok"


def copied(source: str, target: str) -> None:
    """A file as a link to it, a pipe or socket made anew: copying one would wait for it."""
    path = Path(source)
    if path.is_fifo():
        os.mkfifo(target)
    elif path.is_socket():
        hostile.bind_socket(Path(target))
    else:
        os.link(source, target, follow_symlinks=False)


def in_this_process(task: str, path: Path, *_: Any, options: dict[str, Any], **__: Any) -> Any:
    """In the place of `run_confined`: the same work without a process of its own, which costs a second each."""
    work: dict[str, Callable[..., Any]] = {
        "take_in": rebuilding.build_from_zip,
        "clean": rebuilding.build_from_folder,
        "companions": tables.companions,
    }
    with text_at_most(STRANGERS_BYTES):
        return work[task](path, **options)
