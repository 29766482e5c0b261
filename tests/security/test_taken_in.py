"""What strangers bring names no file: uploads are rebuilt, and every way of naming another file ends in a refusal or is
left out with a note. The second wall, the fence of the system, is tried with the first one taken away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gradiend_ui.engine.base import rebuilding, uploaded
from gradiend_ui.engine.base.loading import load_base_model, load_tokenizer
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, GradiendUIError, NotAllowed, TooLarge
from gradiend_ui.engine.files.fence import fence_version
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads import tokenizer as tokenizer_check
from gradiend_ui.engine.uploads.clean_model import REFUSED
from gradiend_ui.engine.uploads.settings import CONFIG_FIELDS, GENERATION_FIELDS, RESERVED, TOKENIZER_FIELDS
from gradiend_ui.engine.uploads.tokenizer import check_words
from gradiend_ui.engine.uploads.trust import ARCHITECTURES, LOCAL, public_trust
from gradiend_ui.engine.worker.requests import Load
from gradiend_ui.engine.worker.worker import Worker
from tests.support import checkpoints_hostile as hostile
from tests.support.tiny_architectures import PIECES, save_tiny

ROOT = Path(__file__).parents[2]
CANARY = "canary-3141592653"
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """A folder that nothing may read: weights and a vocabulary of somebody's."""
    folder = tmp_path_factory.mktemp("outside")
    tensors = {
        name: torch.full_like(tensor, 0.271828) for name, tensor in load_file(tiny_bert / "model.safetensors").items()
    }
    save_file(tensors, folder / "private.safetensors", metadata={"format": "pt"})
    (folder / "words.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", CANARY]))
    (folder / "words.json").write_text(json.dumps({CANARY: 0, "[UNK]": 1}))
    (folder / "merges.txt").write_text(f"#version\n{CANARY[0]} {CANARY[1]}\n")
    return folder


@pytest.fixture(scope="module")
def run(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its base model beside it."""
    run = hostile.save_run(tmp_path_factory.mktemp("valid") / "run", tiny_bert)
    shutil.copytree(tiny_bert, run / "base")
    change(run / "model/config.json", metadata={"base_model": "../base"})
    return run


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    return tmp_path / "data" / "uploads"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    store = Store(":memory:")
    yield Worker(store, tmp_path / "data", tmp_path / "none", public_trust())
    store.close()


def change(path: Path, **fields: Any) -> None:
    """Set fields of a JSON file; None takes one away."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    content.update(fields)
    hostile.put(path, json.dumps({key: value for key, value in content.items() if value is not None}).encode())


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


def damaged(run: Path, place: Path, damage: Damage) -> Path:
    """A zip of the run after `damage`."""
    damage(copy := hostile.copy_of(run, place / "copy"))
    return zipped(copy, place / "run.zip")


def load(worker: Worker, source: Path) -> dict[str, Any]:
    return dict(worker.answer(Load(str(source), {})))


def outcome(worker: Worker, uploads: Path, path: Path) -> str:
    """ "ok" or the sentence of the refusal; what was opened holds nothing of the canary."""
    try:
        source = uploaded.take_in(path, uploads, strangers=True)
        card = load(worker, source)
        base = worker._resources.checkpoint(card["checkpoint"]).model.base
    except GradiendUIError as error:
        return str(error)
    assert CANARY not in json.dumps(base.tokenizer.get_vocab()) + json.dumps(card)
    assert not any(bool((parameter == 0.271828).any()) for parameter in base.model.parameters())
    return "ok"


# --- the first wall: nothing is named ---------------------------------------------------------------------------------


def index_of(base: Path, place: str, index: str = "model.safetensors.index.json") -> None:
    """Have the index of the base's weights put every tensor into `place`."""
    names = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    (base / index).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, place)}))


@pytest.mark.parametrize("strangers", [True, False])
@pytest.mark.parametrize("file", ["base/model.safetensors", "base/tokenizer.json", "model/model.safetensors"])
def test_a_pointer_of_git_lfs_in_a_zip_is_told_apart(
    run: Path, uploads: Path, tmp_path: Path, file: str, strangers: bool
) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 440\n"
    path = damaged(run, tmp_path, lambda copy: hostile.put(copy / file, pointer))
    with pytest.raises(BadCheckpoint, match=f"{Path(file).name} in .* is a pointer of Git LFS.*git lfs pull") as caught:
        uploaded.take_in(path, uploads, strangers=strangers)
    assert caught.value.text is not None and caught.value.text[0] == "load.pointer"


@pytest.mark.parametrize(
    "place",
    ["{outside}/private.safetensors", "../../../outside/private.safetensors", "/dev/zero", "/proc/self/mem",
     "sub/x.safetensors", "model.safetensors", "..", "", "x.bin"],
)  # fmt: skip
@pytest.mark.parametrize("strangers", [True, False])
def test_an_index_of_weights_stays_in_its_folder(
    run: Path, outside: Path, uploads: Path, tmp_path: Path, place: str, strangers: bool
) -> None:
    place = place.format(outside=outside)
    path = damaged(run, tmp_path, lambda copy: index_of(copy / "base", place))
    with pytest.raises(BadBase, match=r"own folder|which is not there"):
        uploaded.take_in(path, uploads, strangers=strangers)
    assert not list(uploads.iterdir()), "nothing half is left"
    with pytest.raises(BadBase, match=r"own folder|which is not there"):  # a folder of one's own, too
        load_base_model(str(tmp_path / "copy/base"))


def test_shards_are_taken_over_with_an_index_of_our_own(
    run: Path, uploads: Path, worker: Worker, tmp_path: Path
) -> None:
    def shard(copy: Path) -> None:
        base = copy / "base"
        tensors = load_file(base / "model.safetensors")
        names = sorted(tensors)
        for number, part in enumerate((names[::2], names[1::2]), 1):
            save_file(
                {n: tensors[n] for n in part}, base / f"model-0000{number}-of-00002.safetensors", {"format": "pt"}
            )
        index_of(base, "model-00001-of-00002.safetensors")
        change(
            base / "model.safetensors.index.json",
            weight_map={
                **dict.fromkeys(names[:1], "model-00002-of-00002.safetensors"),
                **dict.fromkeys(names[1:], "model-00001-of-00002.safetensors"),
            },
            metadata={"path": "/etc"},
        )

    source = uploaded.take_in(damaged(run, tmp_path, shard), uploads, strangers=True)
    written = json.loads((source / "base/model.safetensors.index.json").read_text())
    whole = load_file(run / "base/model.safetensors")
    assert set(written["weight_map"]) == set(whole) and set(written["metadata"]) == {"total_size"}
    base = worker._resources.checkpoint(load(worker, source)["checkpoint"]).model.base
    assert all(torch.equal(tensor, base.model.state_dict()[name]) for name, tensor in whole.items())


def tokenizers(tmp_path_factory: pytest.TempPathFactory, kind: str) -> Path:
    return save_tiny(kind, tmp_path_factory.mktemp(kind) / "base")


WORDS_FIELDS = (
    "vocab", "merges", "vocab_file", "merges_file", "tokenizer_file", "spm_file", "gguf_file", "tokenizer_object",
    "files_loaded", "added_tokens_file", "special_tokens_map_file", "name_or_path", "fast_tokenizer_files",
    "model_specific_special_tokens", "never_split", "chat_template", "response_template", "src_lang", "init_inputs",
    "_spm_precompiled_charsmap", "extra_special_tokens", "backend", "errors",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "qwen2", "llama", "t5"])
@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_no_field_of_a_tokenizer_names_a_file(
    outside: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, kind: str, file: str, monkeypatch: Any
) -> None:
    raw = tokenizers(tmp_path_factory, kind)
    monkeypatch.setattr(tokenizer_check, "LONG_TEXTS", (200,))  # how long it takes is the matter of other tests
    monkeypatch.chdir(outside)  # where plain words are names of files, too
    whole = (raw / file).read_text() if (raw / file).is_file() else "{}"
    for field in WORDS_FIELDS:
        for value in (
            str(outside / "words.json"),
            "words.txt",
            "words.json",
            [str(outside / "words.txt")],
            "/dev/zero",
        ):
            (raw / file).write_text(whole)
            change(raw / file, **{field: value})
            clean = tmp_path / "clean"
            shutil.rmtree(clean, ignore_errors=True)
            try:
                rebuilding.build(raw, clean, pickled=False)
                tokenizer = load_tokenizer(str(clean), public_trust().within(clean))
            except GradiendUIError:
                continue
            assert CANARY not in json.dumps(tokenizer.get_vocab()), field
            assert "/dev/zero" not in (clean / file).read_text() or field in ("chat_template", "extra_special_tokens")


@pytest.mark.parametrize("place", ["vocab", "merges", "vocab.x"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "qwen2", "t5"])
def test_the_words_of_a_tokenizer_are_in_it(
    outside: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, kind: str, place: str
) -> None:
    raw = tokenizers(tmp_path_factory, kind)
    content = json.loads((raw / "tokenizer.json").read_text())
    content["model"][place.partition(".")[0]] = str(outside / "words.json") if place != "vocab.x" else [str(outside)]
    (raw / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(BadBase, match="model.vocab|model.merges"):
        rebuilding.build(raw, tmp_path / "clean", pickled=False)


@pytest.mark.parametrize(
    "value", ["/etc/passwd", "../x", "~/x", "https://x.y/z", "owner/name", "C:\\x", "file:///etc", "a..b"]
)
@pytest.mark.parametrize("file", ["base/config.json", "base/generation_config.json"])
def test_no_setting_is_a_path_or_a_foreign_name(
    run: Path, uploads: Path, worker: Worker, tmp_path: Path, file: str, value: str
) -> None:
    """Known fields with such a value are refused with their name, unknown ones are left out and told."""
    source = hostile.copy_of(run, tmp_path / "copy")
    known = "hidden_act" if "generation" not in file else "cache_implementation"
    change(source / file, **{known: value})
    told = outcome(worker, uploads, zipped(source, tmp_path / "a.zip"))
    assert f"{known} is" in told if "generation" not in file else told == "ok"
    change(source / file, **{known: None, "unheard_of": {"deep": [value]}})
    change(source / file, **({"hidden_act": "gelu"} if "generation" not in file else {}))
    path = zipped(source, tmp_path / "b.zip")
    assert outcome(worker, uploads, path) == "ok"
    home = uploaded.take_in(path, uploads, strangers=True)
    assert "unheard_of" in json.dumps(uploaded.notes_on(home, uploads))
    assert value not in (home / file).read_text() and "unheard_of" in json.dumps(load(worker, home)["warnings"])


@pytest.mark.parametrize("field", sorted(REFUSED))
def test_what_decides_on_numbers_by_a_file_is_refused(run: Path, uploads: Path, tmp_path: Path, field: str) -> None:
    for file in ("base/config.json", "base/tokenizer_config.json"):
        place = tmp_path / file.replace("/", "-")
        path = damaged(run, place, lambda copy, file=file: change(copy / file, **{field: ["x.safetensors"]}))
        with pytest.raises(NotAllowed, match=field):
            uploaded.take_in(path, uploads, strangers=True)


@pytest.mark.parametrize("key", ["base_model", "tokenizer"])
def test_no_answer_tells_whether_a_path_exists(
    run: Path, uploads: Path, worker: Worker, tmp_path: Path, key: str
) -> None:
    there, absent = str(ROOT), str(ROOT.with_name("absent-folder"))
    up = "../" * 12
    pairs = [(there, absent), (f"{up}etc", f"{up}absent"), (f"./{up}etc", f"./{up}absent"), ("~", "~/absent"),
             ("gradiend_ui/engine", "gradiend_ui/absent"), ("tests", "absent"), ("/dev/zero", "/dev/absent"),
             (f"base/{up}etc", f"base/{up}absent"), (str(ROOT / "app.py"), str(ROOT / "absent.py"))]  # fmt: skip
    for pair in pairs:
        told = []
        for number, place in enumerate(pair):
            source = hostile.copy_of(run, tmp_path / f"copy{number}")
            metadata = {"base_model": "../base", key: place}
            change(source / "model/config.json", metadata=metadata)
            if key == "base_model":
                shutil.rmtree(source / "base")
            answer = outcome(worker, uploads, zipped(source, tmp_path / "x.zip"))
            told.append(answer.replace(place, "PLACE").replace(place[:200], "PLACE"))
            shutil.rmtree(source)
        assert told[0].replace("etc", "absent") == told[1] or told[0] == told[1], pair


def test_a_base_beside_is_taken_for_a_path_of_another_machine(
    run: Path, uploads: Path, worker: Worker, tmp_path: Path
) -> None:
    source = hostile.copy_of(run, tmp_path / "copy")
    change(source / "model/config.json", metadata={"base_model": "/home/somebody/models/bert"})
    assert outcome(worker, uploads, zipped(source, tmp_path / "x.zip")) == "ok"


def test_a_base_that_is_not_opened_here_is_not_replaced_by_the_one_beside(
    run: Path, uploads: Path, worker: Worker, tmp_path: Path
) -> None:
    source = hostile.copy_of(run, tmp_path / "copy")
    shutil.copytree(source / "base", source / "other")
    change(source / "other/config.json", model_type="bloom")
    change(source / "model/config.json", metadata={"base_model": "../other"})
    assert "does not open the architecture 'bloom'" in outcome(worker, uploads, zipped(source, tmp_path / "x.zip"))


def test_a_tokenizer_is_not_read_from_the_folder_of_a_gradiend(
    run: Path, uploads: Path, worker: Worker, tmp_path: Path
) -> None:
    """Its config.json is not made plain, so that transformers must not open it."""
    source = hostile.copy_of(run, tmp_path / "copy")
    shutil.copy(source / "base/tokenizer.json", source / "model/tokenizer.json")
    change(source / "model/config.json", metadata={"base_model": "../base", "tokenizer": "."})
    assert "taken in" in outcome(worker, uploads, zipped(source, tmp_path / "x.zip")) or "holds settings" in outcome(
        worker, uploads, zipped(source, tmp_path / "x.zip")
    )


def test_the_mark_of_what_was_built_cannot_be_brought_along(run: Path, uploads: Path, tmp_path: Path) -> None:
    source = hostile.copy_of(run, tmp_path / "copy")
    for place in (source, source / "base"):
        (place / uploaded.MARK).write_text(json.dumps({"source": "..", "strangers": True, "notes": {"x": ["y"]}}))
    home = uploaded.take_in(zipped(source, tmp_path / "x.zip"), uploads, strangers=True)
    assert home.is_relative_to(uploads) and "y" not in json.dumps(uploaded.notes_on(home, uploads))
    raw = Path(shutil.copytree(source, uploads / ("c" * 64)))
    (raw / "evil.bin").write_bytes(b"x")
    (raw / uploaded.MARK).write_text(json.dumps({"home": "d" * 64, "source": ".", "strangers": True, "notes": {}}))
    uploaded.clean_home(raw, strangers=True)
    assert uploaded.was_taken_in(raw, strangers=True) and not (raw / "evil.bin").exists()


@pytest.mark.parametrize("file", ["eval.parquet", "neutral.parquet"])
def test_a_table_beside_a_checkpoint_stands_for_no_more_text_than_is_read(
    run: Path, uploads: Path, worker: Worker, tmp_path: Path, file: str
) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")

    def swollen(copy: Path) -> None:
        places = pa.array([0] * 200_000, pa.int32())
        text = pa.DictionaryArray.from_arrays(places, pa.array(["x" * 1200]))
        parquet.write_table(pa.table({"masked": text}), copy / file)
        named: dict[str, Any] = {"rows": file} if file == "eval.parquet" else {"neutral": {"own": file}}
        change(copy / "demo.json", **named)
        assert (copy / file).stat().st_size < 100_000

    source = uploaded.take_in(damaged(run, tmp_path, swollen), uploads, strangers=True)
    card = load(worker, source)
    (told,) = [text for text in card["notes"] if file in text]
    assert told.startswith(f"{file} was not read: ") and "MB of text" in told and "leave rows or columns out" in told
    assert (worker._resources.checkpoint(card["checkpoint"]).companions.rows is None) == (file == "eval.parquet")


@pytest.mark.parametrize("strangers", [True, False])
def test_what_a_trainer_wrote_beside_a_model_is_left_out_and_told(
    run: Path, uploads: Path, worker: Worker, tmp_path: Path, strangers: bool
) -> None:
    def trained(copy: Path) -> None:
        for name in ("training_args.bin", "optimizer.pt", "rng_state.pth", "modeling_x.py", "tf_model.h5", "README.md",
                     ".gitattributes", "pytorch_model.bin"):  # fmt: skip
            (copy / "base" / name).write_bytes(CANARY.encode())
        if not strangers:
            (copy / "base/pytorch_model.bin").unlink()

    source = uploaded.take_in(damaged(run, tmp_path, trained), uploads, strangers=strangers)
    home = uploaded.home_of(source, uploads)
    assert home is not None
    told = uploaded.notes_on(source, uploads)
    assert [note for note in told if note.startswith("Left in the zip unread")] == list(told)
    twin = ["pytorch_model.bin"] if strangers else []
    named = sorted(["modeling_x.py", "optimizer.pt", "rng_state.pth", "tf_model.h5", "training_args.bin", *twin])
    assert told[0].endswith(f"needed here: {', '.join(f'copy/base/{name}' for name in named)}.")
    kept = [path for path in home.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert kept == [], "something of it was unpacked"
    if strangers:
        assert set(told) <= set(load(worker, source)["notes"])


def test_what_was_built_for_the_owner_is_built_anew_for_strangers(run: Path, uploads: Path, tmp_path: Path) -> None:
    source = hostile.copy_of(run, tmp_path / "copy")
    torch.save(load_file(source / "base/model.safetensors"), source / "base/pytorch_model.bin")
    path = zipped(source, tmp_path / "x.zip")
    home = uploaded.home_of(uploaded.take_in(path, uploads, strangers=False), uploads)
    assert home is not None and uploaded.was_taken_in(home, strangers=False)
    assert not uploaded.was_taken_in(home, strangers=True)
    uploaded.clean_home(home, strangers=True)
    assert uploaded.was_taken_in(home, strangers=True) and not list(home.rglob("*.bin"))


def test_an_expression_that_never_ends_is_found_in_an_owners_zip_too(
    run: Path, uploads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = hostile.copy_of(run, tmp_path / "copy")
    content = json.loads((source / "base/tokenizer.json").read_text())
    endless = {"type": "Split", "pattern": {"Regex": "(k+)+$"}, "behavior": "Isolated", "invert": False}
    content["pre_tokenizer"] = endless
    hostile.put(source / "base/tokenizer.json", json.dumps(content).encode())
    from dataclasses import replace

    monkeypatch.setattr(uploaded, "OWNERS", replace(uploaded.OWNERS, seconds=6.0))
    with pytest.raises(GradiendUIError, match="takes longer|memory or time|cannot be read"):
        uploaded.take_in(zipped(source, tmp_path / "x.zip"), uploads, strangers=False)


@pytest.mark.parametrize("steps", [10, 24, 40])
def test_a_tokenizer_that_makes_ever_more_of_a_text_is_refused(
    run: Path, uploads: Path, tmp_path: Path, steps: int
) -> None:
    source = hostile.copy_of(run, tmp_path / "copy")
    content = json.loads((source / "base/tokenizer.json").read_text())
    doubled = {"type": "Replace", "pattern": {"String": "q"}, "content": "qq"}
    content["normalizer"] = {"type": "Sequence", "normalizers": [doubled] * steps}
    hostile.put(source / "base/tokenizer.json", json.dumps(content).encode())
    with pytest.raises(GradiendUIError, match="no tokenizer's work|memory|cannot be read|damaged"):
        uploaded.take_in(zipped(source, tmp_path / "x.zip"), uploads, strangers=True)


DOUBLED = {"type": "Replace", "pattern": {"String": "q"}, "content": "qq"}
ANY_LETTER = {"type": "Replace", "pattern": {"Regex": "."}, "content": "q" * 100}
OTHERS = [{"type": "Replace", "pattern": {"String": f"q{n}"}, "content": "q"} for n in range(201)]
ONE_LETTER = {"type": "Replace", "pattern": {"String": "q"}, "content": "q" * 40}
BEFORE = {"type": "Prepend", "prepend": "q" * 2000}


@pytest.mark.parametrize(
    ("steps", "said", "is_tried"),
    [
        ([DOUBLED] * 7, "ever longer ones, or many", False),
        ([ANY_LETTER], "ever longer ones, or many", False),
        (OTHERS, "ever longer ones, or many", False),
        ([BEFORE], "ever longer ones, up to 2,001 times", False),
        ([ONE_LETTER], "characters of", True),
    ],
    ids=["doubled", "any letter", "many", "before", "one letter"],
)
def test_a_tokenizer_that_swells_texts_is_refused_by_what_it_says_or_does(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[Any], said: str, is_tried: bool
) -> None:
    """What its file tells is looked at before the library has it, which would need all memory for some of these."""
    content = json.loads((run / "base/tokenizer.json").read_text())
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    check_words(path, "tokenizer.json")
    path.write_text(json.dumps({**content, "normalizer": {"type": "Sequence", "normalizers": steps}}))
    if not is_tried:
        monkeypatch.setattr("tokenizers.Tokenizer", None)
    with pytest.raises(TooLarge, match=said):
        check_words(path, "tokenizer.json")


def test_nothing_tells_what_else_was_uploaded(run: Path, uploads: Path, worker: Worker, tmp_path: Path) -> None:
    """A GRADIEND that is all of its upload: its parent is the folder of all uploads."""
    other = uploaded.home_of(uploaded.take_in(zipped(run, tmp_path / "other.zip"), uploads, strangers=True), uploads)
    assert other is not None
    told = []
    for number, there in enumerate((other.name, "0" * 64)):
        source = hostile.copy_of(run / "model", tmp_path / f"copy{number}")
        shutil.copytree(run / "base", source / "base")
        for key in ("base_model", "tokenizer"):
            metadata = {"base_model": "base", key: f"../{there}/run/base"}
            change(source / "config.json", metadata=metadata)
            path = Path(shutil.make_archive(str(tmp_path / f"{number}{key}"), "zip", source))
            told.append((key, outcome(worker, uploads, path).replace(there, "NAME")))
    assert told[:2] == told[2:]


def test_a_tokenizer_that_cannot_be_had_is_not_passed_over(
    run: Path, uploads: Path, worker: Worker, tmp_path: Path
) -> None:
    source = hostile.copy_of(run, tmp_path / "copy")
    change(source / "model/config.json", metadata={"base_model": "../base", "tokenizer": "../words"})
    assert "metadata.tokenizer" in outcome(worker, uploads, zipped(source, tmp_path / "x.zip"))


@pytest.mark.parametrize("base", ["../../../../{outside}", "../../../absent", "{outside}"])
def test_a_mask_head_stays_beside_its_base(run: Path, outside: Path, tmp_path: Path, base: str) -> None:
    folder = tmp_path / "base"
    rebuilding.build(run / "base", folder, pickled=False)
    stated = base.format(outside=str(outside).lstrip("/") if base.startswith("..") else outside)
    (folder / "config_mlm_head.json").write_text(json.dumps({"base_model": stated}))
    with pytest.raises(GradiendUIError, match="leads out|taken in|folder in the upload|put the base"):
        load_base_model(str(folder), trust=public_trust().within(folder))


def test_a_link_in_a_strangers_base_is_not_followed_by_who_opens_it_either(
    run: Path, outside: Path, tmp_path: Path
) -> None:
    """The builder makes none, so that this wall is tried without it."""
    folder = tmp_path / "base"
    rebuilding.build(run / "base", folder, pickled=False)
    trust = public_trust().within(folder)
    assert load_base_model(str(folder), trust=trust).kind == "masked"
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(outside / "private.safetensors")
    with pytest.raises(NotAllowed, match="leads out of its folder"):
        load_base_model(str(folder), trust=trust)


@pytest.mark.parametrize(
    ("index", "shard"),
    [
        ("model.safetensors.index.json", "model-00001-of-00001.safetensors"),
        ("pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"),
    ],
)
def test_an_index_of_ones_own_names_no_link_out(
    run: Path, outside: Path, tmp_path: Path, index: str, shard: str
) -> None:
    folder = hostile.copy_of(run / "base", tmp_path / "base")
    index_of(folder, shard, index)
    (folder / shard).symlink_to(outside / "private.safetensors")
    with pytest.raises(BadBase, match="leads out of its folder"):
        load_base_model(str(folder))
    (folder / shard).unlink()
    for place in (f"../{shard}", str(outside / "private.safetensors"), shard):
        change(folder / index, weight_map={"a": place})
        with pytest.raises(BadBase, match="which is not there" if place == shard else "files of its own folder"):
            load_base_model(str(folder))


# --- the same numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(ARCHITECTURES))
def test_every_listed_architecture_gives_the_same_numbers(kind: str, tmp_path: Path) -> None:
    raw = save_tiny(kind, tmp_path / "raw")
    notes = rebuilding.build(raw, tmp_path / "clean", pickled=False)
    own = load_base_model(str(raw))
    taken = load_base_model(str(tmp_path / "clean"), trust=public_trust().within(tmp_path / "clean"))
    assert notes == {}
    assert type(own.tokenizer) is type(taken.tokenizer) and own.objective == taken.objective
    texts = ["He said she was happy .", "the small wooden box", "\u2603 1 2  3"]
    assert own.encode(texts) == taken.encode(texts)
    for text in (
        "\uff53\uff48\uff45 was happy .",
        "\ufb01ne \u00bd \u3314 e\u0301",
        "\ufdfa",
    ):  # what their tables replace
        assert own.encode([text]) == taken.encode([text])
    if kind in PIECES and kind not in ("deberta-v2", "mbart"):  # whose classes leave their table out
        assert taken.encode(["\uff53\uff48\uff45 was"]) == taken.encode(["she was"]) != taken.encode(["\u2603 was"])
    assert own.fingerprint() == taken.fingerprint()
    ids = torch.tensor([own.encode(texts[:1])[0]])
    inputs = {"input_ids": ids} if own.kind != "seq2seq" else {"input_ids": ids, "decoder_input_ids": ids}
    with torch.no_grad():
        assert torch.equal(own.model(**inputs).logits, taken.model(**inputs).logits)


@pytest.mark.parametrize("stated", ["MyOwnTokenizerFast", "ErnieTokenizer", "PreTrainedTokenizer", "Phi3TokenizerFast"])
@pytest.mark.parametrize("kind", ["bert", "t5", "gpt2", "llama"])
def test_an_unlisted_class_reads_the_same_in_a_folder_and_an_upload(kind: str, stated: str, tmp_path: Path) -> None:
    """The kind's own class would not: BERT's makes letters small, T5's cuts at spaces in its own way."""
    raw = save_tiny(kind, tmp_path / "raw")
    config = json.loads((raw / "tokenizer_config.json").read_text())
    (raw / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": stated}))
    content = json.loads((raw / "tokenizer.json").read_text())
    (raw / "tokenizer.json").write_text(json.dumps({**content, "normalizer": None}))
    read = []
    for pickled in (None, True, False):
        clean = tmp_path / f"clean-{pickled}"
        assert pickled is None or rebuilding.build(raw, clean, pickled=pickled) == {}
        place = raw if pickled is None else clean
        read.append(
            load_base_model(str(place), trust=LOCAL if pickled in (None, True) else public_trust().within(clean))
        )
    texts = ["He said that  She was happy .", "the small wooden box", "\u2603 1 2  3"]
    assert read[0].encode(texts) == read[1].encode(texts) == read[2].encode(texts)
    assert len({base.fingerprint() for base in read}) == 1


@pytest.mark.parametrize("kind", ["bert", "gpt2", "roberta"])
def test_a_vocabulary_alone_becomes_a_tokenizer(kind: str, tmp_path: Path) -> None:
    raw = save_tiny(kind, tmp_path / "raw")
    content = json.loads((raw / "tokenizer.json").read_text())["model"]
    (raw / "tokenizer.json").unlink()
    if kind == "bert":
        (raw / "vocab.txt").write_text("\n".join(content["vocab"]))
    else:
        (raw / "vocab.json").write_text(json.dumps(content["vocab"]))
        pairs = [" ".join(pair) if isinstance(pair, list) else pair for pair in content["merges"]]
        (raw / "merges.txt").write_text("\n".join(["#version: 0.2", *pairs]))
    own = load_base_model(str(raw))
    rebuilding.build(raw, tmp_path / "clean", pickled=False)
    assert not [name for name in rebuilding.WORDS if (tmp_path / "clean" / name).exists()]
    taken = load_base_model(str(tmp_path / "clean"), trust=public_trust().within(tmp_path / "clean"))
    texts = ["He said she was happy .", "the small wooden box", "\u2603 1 2  3 [MASK] <mask>"]
    assert own.encode(texts) == taken.encode(texts)


def test_the_listed_settings_are_those_of_the_installed_transformers() -> None:
    """A newer version may add settings: then the lists in `model_fields` are to be looked at again."""
    from transformers import CONFIG_MAPPING, GenerationConfig, PreTrainedConfig

    internal = {"transformers_version", "id2label", "label2id"}
    for kind in ARCHITECTURES:
        fields = set(CONFIG_MAPPING[kind]().to_dict())
        assert {name for name in fields if not name.startswith("_")} - CONFIG_FIELDS - internal <= RESERVED, kind
    assert set(GenerationConfig().to_dict()) - internal <= GENERATION_FIELDS
    methods = {name for name in dir(PreTrainedConfig) if callable(getattr(PreTrainedConfig, name)) and name[0] != "_"}
    assert methods <= RESERVED and not RESERVED & CONFIG_FIELDS
    assert not {"vocab", "merges", "vocab_file", "merges_file", "tokenizer_file", "name_or_path"} & TOKENIZER_FIELDS


# --- the second wall: the fence of the system -------------------------------------------------------------------------

needs_fence = pytest.mark.skipif(not fence_version(), reason="this system has no Landlock")
OPEN_AS_IT_CAME = """
import json, sys
from pathlib import Path
import gradiend_ui
data, raw, fenced = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "fenced"
if fenced:
    from gradiend_ui.engine.files.fence import put_up
    from gradiend_ui.engine.uploads.trust import fence_around
    assert put_up(fence_around(data, data / "none", ()))
from transformers import AutoModelForMaskedLM, AutoTokenizer
read = {{}}
for name, open_it in {{
    "weights": lambda: any(bool((p == 0.271828).any()) for p in AutoModelForMaskedLM.from_pretrained(raw).parameters()),
    "words": lambda: {canary!r} in AutoTokenizer.from_pretrained(raw).get_vocab(),
    "file": lambda: {canary!r} in Path({words!r}).read_text(),
    "own": lambda: bool((Path(raw) / "config.json").read_text()),
    "write": lambda: Path({words!r}).with_name("written").write_text("x") == 1,
}}.items():
    try:
        read[name] = bool(open_it())
    except Exception as error:
        read[name] = type(error).__name__
print(json.dumps(read))
"""


@needs_fence
def test_with_the_first_wall_gone_the_workers_fence_keeps_the_canary_unread(
    tmp_path: Path, outside: Path, tiny_bert: Path
) -> None:
    """A hostile base is opened by transformers as it came: without the fence the canary is read, with it it is not."""
    data = tmp_path / "data"
    raw = Path(shutil.copytree(tiny_bert, data / "uploads" / "raw"))
    index_of(raw, str(outside / "private.safetensors"))
    change(raw / "special_tokens_map.json", vocab=str(outside / "words.txt"))
    change(raw / "tokenizer_config.json", tokenizer_class="BertTokenizer", added_tokens_decoder=None)
    (raw / "tokenizer.json").unlink()
    (raw / "vocab.txt").unlink(missing_ok=True)
    script = OPEN_AS_IT_CAME.format(canary=CANARY, words=str(outside / "words.txt"))
    told = {}
    for how in ("free", "fenced"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(data), str(raw), how], capture_output=True, text=True, timeout=300,
            cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        told[how] = json.loads(done.stdout.splitlines()[-1])
    assert told["free"] == {"weights": True, "words": True, "file": True, "own": True, "write": True}
    assert told["fenced"]["own"] is True, "its own folder is read"
    assert not any(told["fenced"][name] is True for name in ("weights", "words", "file", "write")), told["fenced"]


@needs_fence
def test_with_the_first_wall_gone_the_builders_fence_keeps_the_canary_unread(
    tmp_path: Path, outside: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link in an unpacked upload is followed by a builder that does not look for links, and leads nowhere."""
    raw = Path(shutil.copytree(run, tmp_path / "uploads" / ("a" * 64)))
    (raw / "base/model.safetensors").unlink()
    (raw / "base/model.safetensors").symlink_to(outside / "private.safetensors")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/no_wall.py").write_text(
        "from gradiend_ui.engine.base import rebuilding\n"
        "rebuilding._is_plain = lambda path: True\n"
        "def take(self, name): (self.target / name).write_bytes((self.raw / name).read_bytes())\n"
        "rebuilding._Folder._take = take\n"
        "build = rebuilding.build_from_folder\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    from gradiend_ui.engine.files import confined

    start = (
        "import sys, gradiend_ui.engine.files.confined as c; {more}"
        "c.TASKS = {{'clean': 'no_wall:build'}}; sys.exit(c.main(sys.argv[1]))"
    )
    real = subprocess.run

    def started_by(more: str) -> Callable[..., Any]:
        return lambda command, **options: real([command[0], "-c", start.format(more=more), command[-1]], **options)

    monkeypatch.setattr(confined.subprocess, "run", started_by(""))
    with pytest.raises(GradiendUIError):
        uploaded.clean_home(raw, strangers=True)
    assert (raw / "base/model.safetensors").is_symlink(), "what was there is as it was"
    monkeypatch.setattr(confined.subprocess, "run", started_by("c.put_up = lambda fence: False; "))
    uploaded.clean_home(raw, strangers=True)
    words = load_file(raw / "base/model.safetensors")["bert.embeddings.word_embeddings.weight"]
    assert words[0, 0] == pytest.approx(0.271828), "without either wall it is read"
