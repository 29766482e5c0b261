"""What strangers may bring: no pickles, no code, known architectures of a known size, nothing from elsewhere."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig

from gradiend_ui.engine.base.finding import head_left_aside
from gradiend_ui.engine.base.loading import load_base_model, load_tokenizer
from gradiend_ui.engine.base.mask_head import load_causal_under_mask_head
from gradiend_ui.engine.base.uploaded import MARK, clean_home, take_in
from gradiend_ui.engine.checkpoint.reading import read_checkpoint
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, GradiendUIError, NotAllowed, TooLarge
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.uploads.trust import ARCHITECTURES, LOCAL, public_trust
from gradiend_ui.engine.worker.requests import Load
from gradiend_ui.engine.worker.worker import Worker
from tests.support import checkpoints_hostile as hostile

Upload = Callable[[str], Path]


@pytest.fixture(scope="module")
def run(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its base model beside it, as one uploads it."""
    run = hostile.save_run(tmp_path_factory.mktemp("valid") / "run", tiny_bert)
    shutil.copytree(tiny_bert, run / "base")
    set_base(run, "../base")
    return run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def worker(home: Path, tmp_path: Path) -> Iterator[Worker]:
    """A worker for strangers; its owner opens `owned/`."""
    store = Store(":memory:")
    yield Worker(store, home, tmp_path / "none", public_trust(tmp_path / "owned"))
    store.close()


def set_base(run: Path, base: str, **fields: Any) -> None:
    config = json.loads((run / "model/config.json").read_text())
    config["metadata"] = {"base_model": base, **fields}
    hostile.put(run / "model/config.json", json.dumps(config).encode())


def load(worker: Worker, source: Path, **options: Any) -> dict[str, Any]:
    return dict(worker.answer(Load(str(source), options)))


@pytest.fixture
def uploaded(home: Path, run: Path) -> Upload:
    """Makes uploads of the run: each as an earlier version left it, unpacked and not yet rebuilt."""
    return lambda letter: Path(shutil.copytree(run, home / "uploads" / (letter * 64)))


@pytest.fixture
def upload(uploaded: Upload) -> Path:
    return uploaded("a")


def test_an_upload_with_its_base_is_read(worker: Worker, upload: Path) -> None:
    assert load(worker, upload)["rows_recovered"] is None


def test_what_lies_elsewhere_is_not_read(worker: Worker, run: Path, home: Path) -> None:
    for source in (run, home, home / "uploads", home / "uploads" / ".." / "x", Path("/etc")):
        with pytest.raises(NotAllowed) as told:
            worker._resources.read_checkpoint(str(source), {})
        assert str(home) not in str(told.value)


def test_what_the_owner_opens_is_read_as_the_owner_reads(
    worker: Worker, run: Path, tmp_path: Path, tiny_bert: Path
) -> None:
    shutil.copytree(run, tmp_path / "owned")
    set_base(tmp_path / "owned", str(tiny_bert))
    assert load(worker, tmp_path / "owned")["checkpoint"]


def test_a_base_of_the_server_or_of_another_upload_is_not_read(
    worker: Worker, upload: Path, run: Path, home: Path, tiny_bert: Path
) -> None:
    other = Path(shutil.copytree(run, home / "uploads" / ("b" * 64)))
    shutil.rmtree(upload / "base")
    for place in (str(tiny_bert), str(other / "base"), "/etc"):
        set_base(upload, place)
        with pytest.raises((NotAllowed, BadBase)) as told:
            load(worker, upload)
        assert "server" in str(told.value) or "folder" in str(told.value)


def test_a_folder_that_is_named_like_a_model_of_the_hub_is_not_read(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_bert, tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    load_base_model("owner/name")
    for trust in (public_trust(), public_trust().within(tmp_path / "uploads")):
        with pytest.raises(NotAllowed):
            load_base_model("owner/name", trust=trust)
        with pytest.raises(NotAllowed):
            load_tokenizer("owner/name", trust)


@pytest.fixture
def own_worker(home: Path, tmp_path: Path) -> Iterator[Worker]:
    """A worker of one person on their own machine, over the same uploads."""
    store = Store(":memory:")
    yield Worker(store, home, tmp_path / "none", LOCAL)
    store.close()


PLACES = ["/home/somebody/base", "/etc", "C:\\Users\\me\\base", "~/base", "{there}"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("public", [True, False])
def test_a_tokenizer_of_another_machine_is_left_aside_for_the_bases_own(
    worker: Worker, own_worker: Worker, upload: Path, tmp_path: Path, tiny_bert: Path, public: bool, place: str
) -> None:
    """What lies there on this machine is not read, and the card says so; without a base that has one it is refused."""
    there = Path(shutil.copytree(tiny_bert, tmp_path / "there"))
    words = json.loads((there / "tokenizer.json").read_text())
    words["model"]["vocab"] = {f"canary{word}"[-6:] + str(number): number for word, number in
                               words["model"]["vocab"].items()}  # fmt: skip
    (there / "tokenizer.json").write_text(json.dumps(words))
    reader = worker if public else own_worker
    set_base(upload, "../base", tokenizer=place.format(there=there))
    card = load(reader, upload)
    told = [one for one in card["warnings"] if "metadata.tokenizer" in one]
    assert len(told) == 1 and "left aside" in told[0] and str(tmp_path) not in told[0]
    read = reader._resources.checkpoint(card["checkpoint"]).model.base.tokenizer
    assert read.get_vocab() == load_tokenizer(str(upload / "base")).get_vocab()
    for path in (upload / "base").glob("*token*"):
        path.unlink()
    (upload / "base/vocab.txt").unlink(missing_ok=True)
    (upload / MARK).unlink()
    with pytest.raises((NotAllowed, BadBase), match="tokenizer"):
        load(reader, upload)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("public", [True, False])
def test_a_mask_head_of_another_machine_takes_the_base_beside_it(
    worker: Worker, own_worker: Worker, upload: Path, tmp_path: Path, tiny_gpt2: Path, public: bool, place: str
) -> None:
    reader, head = worker if public else own_worker, upload / "decoder_mlm_head"
    shutil.rmtree(upload / "base")
    there = Path(shutil.copytree(tiny_gpt2, tmp_path / "there"))
    shutil.copytree(tiny_gpt2, head)
    (head / "config_mlm_head.json").write_text(json.dumps({"base_model": place.format(there=there)}))
    set_base(upload, "../decoder_mlm_head")
    clean_home(upload, strangers=public)
    with pytest.raises(BadBase, match="put the base model into the upload, as base/ beside 'decoder_mlm_head'") as told:
        load_base_model(str(head), trust=reader._resources.trust.within(upload))
    assert str(tmp_path) not in str(told.value)
    with pytest.raises(BadBase, match="put the base model into the upload"):
        load(reader, upload)
    shutil.copytree(tiny_gpt2, upload / "base")
    (upload / MARK).unlink(missing_ok=True)
    clean_home(upload, strangers=public)
    trust = reader._resources.trust.within(upload)
    assert load_base_model(str(head), trust=trust).objective == "clm_next_token"
    assert "left aside" in str(head_left_aside(read_checkpoint(upload), trust))


@pytest.mark.parametrize("base", ["x" * 5000, "a/" + "\u00e4" * 200, "a\nb", "\u202ex", "", "~nobody/base"])
@pytest.mark.parametrize("public", [True, False])
def test_a_mask_head_names_what_can_be_a_folder(upload: Path, base: str, public: bool) -> None:
    (upload / "base/config_mlm_head.json").write_text(json.dumps({"base_model": base}))
    trust = (public_trust() if public else LOCAL).within(upload)
    clean_home(upload, strangers=public)
    with pytest.raises((BadBase, NotAllowed)) as told:
        load_base_model(str(upload / "base"), trust=trust)
    assert base[:3] in str(told.value) or "config_mlm_head.json" in str(told.value)
    if len(base) > 1000:
        with pytest.raises(BadBase, match="no folder and no Hub name"):
            load_base_model(str(upload / "base"))


@pytest.mark.parametrize("key", ["base_model", "tokenizer", "mask head"])
def test_an_upload_names_no_folder_of_the_owner_either(
    own_worker: Worker, upload: Path, tmp_path: Path, key: str, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever packed it does not choose what is read: the owner does, by hand, and any folder at all."""
    monkeypatch.chdir(tiny_bert.parent)
    places = (tiny_bert.name,) if key == "tokenizer" else (str(tiny_bert), tiny_bert.name)
    for place in places:
        if key == "mask head":
            hostile.put(upload / "base/config_mlm_head.json", json.dumps({"base_model": place}).encode())
        else:
            set_base(upload, **{"base": "../base", key: place} if key == "tokenizer" else {"base": place})
            (upload / "base").rename(tmp_path / "kept") if key == "base_model" and (upload / "base").exists() else None
        (upload / MARK).unlink(missing_ok=True)  # as an earlier version left it
        with pytest.raises(BadBase, match="an upload chooses none|no folder beside|leads out|put the base"):
            load(own_worker, upload)
    assert load(own_worker, upload, base_model=str(tiny_bert))["checkpoint"]


def test_what_is_no_upload_names_any_folder_of_its_owner(
    own_worker: Worker, run: Path, tmp_path: Path, tiny_bert: Path
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "mine"))
    set_base(folder, str(tiny_bert), tokenizer=str(tiny_bert))
    assert load(own_worker, folder)["checkpoint"]


def test_base_beside_is_taken_where_an_owners_upload_names_a_path(
    own_worker: Worker, upload: Path, tiny_bert: Path
) -> None:
    set_base(upload, str(tiny_bert))
    card = load(own_worker, upload)
    told = next(one for one in card["assumed"] if one["what"] == "base_beside")
    assert told["values"] == {"base": "base", "stated": tiny_bert.name}
    kept = own_worker._resources.store.checkpoint(card["checkpoint"])[1]
    assert kept == {"base_model": str((upload / "base").resolve())}


@pytest.mark.parametrize("name", ["model", "../x", "a/b/c", "owner/..", "http://x/y", "owner/name.git", "owner/na me"])
def test_only_plain_names_of_the_hub_are_asked_for(name: str) -> None:
    with pytest.raises(NotAllowed):
        public_trust().check_place(name, "The base model")
    LOCAL.check_place(name, "The base model")


@pytest.mark.parametrize("public", [True, False])
def test_a_base_that_reads_no_text_is_refused_as_it_is_loaded(
    worker: Worker, own_worker: Worker, upload: Path, public: bool
) -> None:
    config = json.loads((upload / "base/config.json").read_text())
    (upload / "base/config.json").write_text(json.dumps(config | {"chunk_size_feed_forward": 1000}))
    with pytest.raises(BadBase, match=r"The base model \(bert\) cannot be run: .* give the model as it was saved"):
        load(worker if public else own_worker, upload)


def test_pickled_weights_are_not_read(worker: Worker, uploaded: Upload) -> None:
    both = uploaded("a")
    torch.save(load_file(both / "model/model.safetensors"), both / "model/pytorch_model.bin")
    load(worker, both)
    assert not list(both.rglob("*.bin"))
    alone = uploaded("b")
    torch.save(load_file(alone / "model/model.safetensors"), alone / "model/pytorch_model.bin")
    (alone / "model/model.safetensors").unlink()
    with pytest.raises(GradiendUIError, match=r"pytorch_model\.bin"):
        load(worker, alone)


@pytest.mark.parametrize("suffix", [".pth", ".bin", ".pt"])
def test_pickled_maps_are_not_read(worker: Worker, upload: Path, suffix: str) -> None:
    config = json.loads((upload / "model/config.json").read_text())
    name = config["mapping"]["masks_file"]
    torch.save(load_file(upload / "model" / name), upload / "model" / f"masks{suffix}")
    config["mapping"]["masks_file"] = f"masks{suffix}"
    (upload / "model/config.json").write_text(json.dumps(config))
    with pytest.raises(BadCheckpoint, match=f"masks{suffix} is missing"):
        load(worker, upload)


def test_a_base_with_pickled_weights_is_not_read(worker: Worker, upload: Path) -> None:
    torch.save(load_file(upload / "base/model.safetensors"), upload / "base/pytorch_model.bin")
    (upload / "base/model.safetensors").unlink()
    with pytest.raises(NotAllowed, match="pickled"):
        load(worker, upload)
    assert load_base_model(str(upload / "base")).kind == "masked"


def test_a_mask_head_with_pickled_weights_is_not_read(tiny_gpt2: Path, tmp_path: Path) -> None:
    """Nor where other weights beside them make the folder look as it should."""
    head = Path(shutil.copytree(tiny_gpt2, tmp_path / "head"))
    (head / "model.safetensors").rename(head / "other.safetensors")
    torch.save(load_file(head / "other.safetensors"), head / "pytorch_model.bin")
    (head / "config_mlm_head.json").write_text("{}")
    config, public = AutoConfig.from_pretrained(tiny_gpt2), public_trust().within(tmp_path)
    with pytest.raises(NotAllowed, match=r"pytorch_model\.bin holds pickled data"):
        load_causal_under_mask_head(str(head), config, torch.float32, trust=public)
    assert load_causal_under_mask_head(str(head), config, torch.float32).num_parameters() > 0


@pytest.mark.parametrize(
    ("fields", "kind", "fragment"),
    [
        ({"model_type": "mamba"}, NotAllowed, "does not open the architecture 'mamba'"),
        ({"model_type": "../x"}, BadBase, "model_type is '../x'"),
        ({"model_type": "x"}, NotAllowed, "does not open"),
        ({"quantization_config": {"quant_method": "gptq"}}, NotAllowed, "quantized"),
        ({"attn_implementation": "owner/kernel"}, BadBase, "never run"),
    ],
)
def test_only_known_architectures(
    worker: Worker, upload: Path, fields: dict[str, Any], kind: type[Exception], fragment: str
) -> None:
    config = json.loads((upload / "base/config.json").read_text()) | fields
    (upload / "base/config.json").write_text(json.dumps(config))
    with pytest.raises(kind, match=fragment):
        load(worker, upload)


def test_an_adapter_and_a_link_are_not_followed(worker: Worker, uploaded: Upload) -> None:
    adapter = uploaded("a")
    (adapter / "base/adapter_config.json").write_text("{}")
    with pytest.raises(NotAllowed, match="adapter"):
        load(worker, adapter)
    link = uploaded("b")
    (link / "base/vocab.txt").symlink_to("/etc/passwd")
    load(worker, link)
    assert not (link / "base/vocab.txt").exists()


def test_a_model_over_the_limit_is_told_with_numbers(tiny_bert: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    count = sum(tensor.numel() for tensor in load_file(tiny_bert / "model.safetensors").values())
    small = replace(public_trust().within(tiny_bert), max_parameters=count - 1)
    with pytest.raises(TooLarge, match=f"{count:,} weights; at most {count - 1:,}"):
        load_base_model(str(tiny_bert), trust=small)


def test_code_that_comes_with_a_model_is_refused_for_the_owner_too(tiny_bert: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "base"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "code.Config", "AutoModelForMaskedLM": "code.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')")
    with pytest.raises(BadBase, match="auto_map.*never run"):
        load_base_model(str(folder))
    assert not (tmp_path / "owned").exists()


def test_a_stranger_is_not_given_a_base_that_is_in_use(worker: Worker, upload: Path, tiny_bert: Path) -> None:
    resources = worker._resources
    base = resources._bases.load(str(tiny_bert))
    with pytest.raises(NotAllowed):
        resources._bases.load(str(tiny_bert), trust=public_trust(upload))
    assert resources._bases.load(str(tiny_bert)) is base


def test_every_architecture_is_one_of_transformers() -> None:
    from transformers import CONFIG_MAPPING

    assert [name for name in ARCHITECTURES if name not in CONFIG_MAPPING] == []


def test_strangers_zips_have_limits_of_their_own(home: Path, run: Path, tmp_path: Path) -> None:
    zipped = tmp_path / "run.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        for path in run.rglob("*"):
            if path.name != "model.safetensors":
                archive.write(path, path.relative_to(run))
        archive.writestr("model/pytorch_model.bin", b"x")
    with pytest.raises(NotAllowed, match="pickled"):
        take_in(zipped, home / "uploads", strangers=True)
    with zipfile.ZipFile(zipped, "w") as archive:
        for number in range(600):
            archive.writestr(f"f{number}.json", b"{}")
    with pytest.raises(TooLarge, match="at most 500"):
        take_in(zipped, home / "uploads", strangers=True)
    assert not list((home / "uploads").iterdir())
