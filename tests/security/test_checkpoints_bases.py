"""Base models as hostile files: named by a checkpoint, in its run's folder, damaged in every way that is known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from gradiend_ui.engine.base.trouble import load_failure
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.worker.worker import Worker
from tests.security.test_checkpoints import OPENED, QUIET, Opener
from tests.support import checkpoints_hostile as hostile

BASE = "own"
"""Not base/: that one is taken where another cannot be loaded."""


@pytest.fixture(scope="module")
def run(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid run with its base model inside: own/ beside model/."""
    run = hostile.save_run(tmp_path_factory.mktemp("with-base") / "run", tiny_bert)
    shutil.copytree(tiny_bert, run / BASE)
    config = json.loads((run / "model/config.json").read_text())
    config["metadata"] = {"base_model": "../own"}
    (run / "model/config.json").write_text(json.dumps(config))
    return run


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    store, home = Store(":memory:"), tmp_path_factory.mktemp("worker")
    yield Opener(Worker(store, home / "data", home / "none"), tmp_path_factory.mktemp("damaged"))
    store.close()


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> hostile.Damage:
    def damage(run: Path) -> None:
        content = json.loads((run / BASE / name).read_text())
        change(content)
        hostile.put(run / BASE / name, json.dumps(content).encode())

    return damage


def config(**fields: Any) -> hostile.Damage:
    return changed("config.json", lambda content: content.update(fields))


def only(*names: str) -> hostile.Damage:
    def damage(run: Path) -> None:
        for path in (run / BASE).iterdir():
            if path.name not in names:
                path.unlink()

    return damage


def file(name: str, content: bytes) -> hostile.Damage:
    return lambda run: hostile.put(run / BASE / name, content)


def instead(name: str, kind: str) -> hostile.Damage:
    return lambda run: ((run / BASE / name).unlink(), hostile.SPECIAL_FILES[kind](run / BASE / name))


def without_a_head(run: Path) -> None:
    model = AutoModel.from_pretrained(run / BASE)
    for name in ("model.safetensors", "config.json"):
        (run / BASE / name).unlink()
    model.save_pretrained(run / BASE)


def gradiend_as_base(run: Path) -> None:
    shutil.rmtree(run / BASE)
    shutil.copytree(run / "model", run / BASE)


def without(*names: str) -> hostile.Damage:
    def damage(run: Path) -> None:
        path = run / BASE / "model.safetensors"
        kept = {name: tensor for name, tensor in load_file(path).items() if name not in names}
        path.unlink()
        save_file(kept, path, metadata={"format": "pt"})

    return damage


def special_token_of_nowhere(run: Path) -> None:
    """A template that names a token it does not define: the tokenizers library panics, which is no Exception."""
    changed("tokenizer.json", lambda content: content["post_processor"].update(special_tokens={}))(run)


def larger_vocabulary(run: Path) -> None:
    """A tokenizer that knows tokens beyond the embedding, and uses one in every text."""
    path = run / BASE / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"] |= {word: 10_000 + place for place, word in enumerate(("said", "sings", "he", "she"))}
    hostile.put(path, json.dumps(content).encode())


DAMAGES: dict[str, tuple[hostile.Damage, str]] = {
    "config.json only": (only("config.json"), "cannot be loaded|describes"),
    "nothing": (only(), "config.json"),
    "no tokenizer": (only("config.json", "model.safetensors"), "tokenizer"),
    "no weights": (lambda run: (run / BASE / "model.safetensors").unlink(), "cannot be loaded|describes"),
    "a GRADIEND": (gradiend_as_base, "itself a GRADIEND"),
    "no head": (without_a_head, "lack|language model"),
    "one weight less": (without("bert.encoder.layer.0.output.dense.weight"), "lack 'bert.encoder.layer.0.output.dense"),
    "truncated": (
        lambda run: hostile.put(
            run / BASE / "model.safetensors", (run / BASE / "model.safetensors").read_bytes()[:5000]
        ),
        "cannot be loaded",
    ),
    "empty weights": (file("model.safetensors", b""), "empty or truncated"),
    "a pickle": (file("model.safetensors", b"\x80\x04cposix\nsystem\n."), "safetensors"),
    "auto_map": (config(model_type="strange", auto_map={"AutoConfig": "code.Config"}), "never run"),
    "unknown kind": (config(model_type="strange"), "model_type"),
    "kernels of its own": (config(attn_implementation="owner/kernel"), "never run"),
    "a billion layers": (config(num_hidden_layers=10**9), "num_hidden_layers"),
    "256 layers": (config(num_hidden_layers=256), "lack|describes"),
    "a billion words": (config(vocab_size=10**9), "describes"),
    "100 million words": (config(vocab_size=10**8), "describes"),
    "100 million positions": (config(max_position_embeddings=10**8), "describes"),
    "hidden_size abc": (config(hidden_size="abc"), "hidden_size"),
    "hidden_size 33": (config(hidden_size=33), "base model|cannot be loaded"),
    "no heads": (config(num_attention_heads=0), "num_attention_heads"),
    "architectures": (config(architectures=[1]), "architectures"),
    "another class": (config(architectures=["BertForSequenceClassification"]), "neither"),
    "config as utf-16": (file("config.json", '{"a": 1}'.encode("utf-16")), "config.json"),
    "deep config": (file("config.json", b'{"a":' * 20_000), "config.json"),
    "deep tokenizer": (file("tokenizer.json", b'{"a":' * 20_000), "tokenizer"),
    "empty tokenizer": (file("tokenizer.json", b"{}"), "tokenizer"),
    "broken tokenizer": (file("tokenizer.json", b'{"version": "1.0", "model": {"type": "WordPiece"}}'), "tokenizer"),
    "tokenizer settings": (file("tokenizer_config.json", b"[]"), "tokenizer_config.json"),
    "a panic of the library": (special_token_of_nowhere, "tokenizer"),
    "no unknown token": (changed("tokenizer.json", lambda content: content["model"].update(unk_token="")), "tokenizer"),
    "larger vocabulary": (larger_vocabulary, "token|vocabulary"),
    "a pipe as weights": (instead("model.safetensors", "fifo"), "base model"),
    "a pipe as config": (instead("config.json", "fifo"), "config.json"),
    "a pipe as tokenizer": (instead("tokenizer.json", "fifo"), "tokenizer"),
    "a device as weights": (instead("model.safetensors", "device"), "base model"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_base_is_one_sentence(opener: Opener, run: Path, name: str) -> None:
    damage, fragment = DAMAGES[name]
    told = opener.outcome(run, damage)
    assert told != "ok"
    assert any(piece in told for piece in fragment.split("|")), told


def test_the_base_beside_is_read(opener: Opener, run: Path) -> None:
    assert opener.outcome(run, lambda folder: None) == "ok"


@settings(QUIET, max_examples=110)
@given(data=st.data())
def test_every_field_of_a_base_takes_no_value_badly(opener: Opener, run: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(("config.json", "config.json", "tokenizer_config.json")))
    text = (run / BASE / name).read_text()
    place = data.draw(st.sampled_from(list(hostile.places(json.loads(text)))))
    raw = ("", *hostile.HOSTILE_VALUES)[data.draw(st.integers(0 if place else 1, len(hostile.HOSTILE_VALUES)))]
    content = hostile.with_value(text, place, raw)
    told = opener.outcome(run, lambda folder: hostile.put(folder / BASE / name, content))
    said = ("base model", "tokenizer", "token", "GRADIEND", "neither", "Parameter")
    assert told == "ok" or any(word in told for word in said), f"{name} {place} {raw[:60]}: {told}"


PATHS = (
    "../../outside",
    "/etc",
    "/etc/passwd",
    "~",
    "~/x",
    "..",
    ".",
    "",
    "a/../../b",
    "C:\\x",
    "\\\\host\\x",
    "file:///etc",
    "x" * 900,
)


@pytest.mark.parametrize("key", ["base_model", "tokenizer"])
@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_to_files_elsewhere(opener: Opener, run: Path, key: str, path: str) -> None:
    def damage(folder: Path) -> None:
        content = json.loads((folder / "model/config.json").read_text())
        content["metadata"][key] = path
        hostile.put(folder / "model/config.json", json.dumps(content).encode())
        shutil.rmtree(folder / BASE) if key == "base_model" else None

    told = opener.outcome(run, damage)
    assert told != "ok" or (key == "tokenizer" and path == "")
    opened = [name for name in OPENED if name.startswith(("/etc/", str(Path.home()))) and "cache" not in name]
    assert not [name for name in opened if name.endswith(("passwd", "config.json", "tokenizer.json"))], opened


def test_why_a_base_cannot_be_fetched_is_told_apart() -> None:
    import httpx

    response = httpx.Response(403, request=httpx.Request("GET", "https://hub.example/x"))
    causes: list[Exception] = [
        GatedRepoError("gated", response=response),
        RepositoryNotFoundError("absent", response=response),
        LocalEntryNotFoundError("offline"),
        ValueError("anything"),
    ]
    told = []
    for cause in causes:
        try:
            raise OSError("it failed") from cause
        except OSError as error:
            told.append(load_failure("owner/name", error))
    assert [
        word in one for word, one in zip(("gated", "no such model", "offline", "it failed"), told, strict=True)
    ] == [True] * 4
    assert len({*told, load_failure("/home/somebody/name", OSError())}) == 5


def test_weights_written_over_while_they_are_in_use_change_nothing(run: Path, tmp_path: Path) -> None:
    """The checkpoint's own weights are a copy: not even a truncated file takes the process or its numbers along."""
    from gradiend_ui.engine.checkpoint.loaded import read_trained

    folder = Path(shutil.copytree(run, tmp_path / "run"))
    trained = read_trained(folder / "model")
    before = {name: tensor.clone() for name, tensor in trained.gradiend.weights.items()}
    with (folder / "model/model.safetensors").open("r+b") as weights:
        weights.truncate(0)
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.gradiend.weights.items())
