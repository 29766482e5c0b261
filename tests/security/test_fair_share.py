"""What one visitor brings costs little of the worker: tables of tensors, JSON, zips, loads with ever new options.

And whose request it is that the worker is asked for. Nothing here asserts seconds: what is told apart is whether work
is done once, bounded, or refused.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import struct
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
import torch
from safetensors.torch import load_file, save_file

from gradiend_ui.engine.base.files import check_config
from gradiend_ui.engine.checkpoint import run_folder
from gradiend_ui.engine.checkpoint.companions import Companions
from gradiend_ui.engine.checkpoint.run_folder import MAX_SEEDS, read_run_folder
from gradiend_ui.engine.data.rows import read_rows
from gradiend_ui.engine.data.uploaded_tables import keep_upload
from gradiend_ui.engine.errors import BadBase, BadCheckpoint, BadGrid, Busy, GradiendUIError, TooLarge
from gradiend_ui.engine.files import safetensors_header
from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.files.json_files import read_json, reading_at_most
from gradiend_ui.engine.files.safetensors_header import STRANGERS_LIMITS, read_header
from gradiend_ui.engine.scoring.batches import cut
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.sweep.spec import AskedSweep
from gradiend_ui.engine.uploads.archives import PUBLIC_LIMITS, unpack_archive
from gradiend_ui.engine.uploads.request_limits import Extent, check_size
from gradiend_ui.engine.uploads.trust import public_trust
from gradiend_ui.engine.values import BatchLimits, Cell
from gradiend_ui.engine.worker import data as data_module
from gradiend_ui.engine.worker.requests import Answer, Compare, CompareAhead, Load, Request, StartSweep
from gradiend_ui.engine.worker.resources import Resources, checked_direction
from gradiend_ui.engine.worker.turns import who_asks
from gradiend_ui.engine.worker.worker import Worker
from gradiend_ui.server.comparing import Comparisons
from gradiend_ui.server.door.quotas import PUBLIC, Hourly
from gradiend_ui.server.door.visitors import Visitors
from gradiend_ui.server.session import Session
from gradiend_ui.ui.kit.refusals import guard

pytestmark = pytest.mark.filterwarnings("ignore::Warning:gradio", "ignore::ResourceWarning")


def written_header(path: Path, names: list[str]) -> Path:
    table = {name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * n, 4 * n + 4]} for n, name in enumerate(names)}
    raw = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(4 * len(names)))
    return path


# --- tables of tensors ------------------------------------------------------------------------------------------------


def test_a_table_is_parsed_once_and_a_changed_one_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    own = safetensors_header.parse_json
    monkeypatch.setattr(
        safetensors_header, "parse_json", lambda raw, **limits: parsed.append(len(raw)) or own(raw, **limits)
    )
    path = written_header(tmp_path / "model.safetensors", ["once", "again"])
    assert [len(read_header(path)) for _ in range(5)] == [2] * 5 and len(parsed) == 1
    status = path.stat()
    written_header(path, ["once", "other"])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as if nothing had been written
    assert "other" in read_header(path) and len(parsed) == 2


def test_a_strangers_table_is_small_in_tensors_bytes_and_names(tmp_path: Path) -> None:
    many = written_header(tmp_path / "many.safetensors", [f"t{n}" for n in range(STRANGERS_LIMITS.tensors + 1)])
    assert len(read_header(many)) == STRANGERS_LIMITS.tensors + 1, "locally they may be more"
    with pytest.raises(BadCheckpoint, match="at most 3,000"):
        read_header(many, STRANGERS_LIMITS)
    long = written_header(tmp_path / "long.safetensors", ["x" * 900 + str(n) for n in range(1200)])
    with pytest.raises(BadCheckpoint, match="1,048,576 are read here"):
        read_header(long, STRANGERS_LIMITS)
    with pytest.raises(BadCheckpoint, match="longer than 1,000 characters"):
        read_header(written_header(tmp_path / "name.safetensors", ["x" * 1001]))


@pytest.fixture
def stranger(demo: Path, tmp_path: Path) -> tuple[Worker, Callable[[], Path]]:
    """A worker of a public server, and what makes an upload of the demo: its model/ beside base/."""
    worker = Worker(Store(tmp_path / "runs.sqlite"), tmp_path, demo, public_trust())
    made: list[Path] = []

    def upload() -> Path:
        home = tmp_path / "uploads" / f"{len(made):064x}"
        shutil.copytree(demo / "gradiend", home / "model")
        shutil.copytree(demo / "base", home / "base")
        made.append(home)
        return home

    return worker, upload


def loaded(worker: Worker, folder: Path, **options: Any) -> dict[str, Any]:
    card: dict[str, Any] = worker.answer(Load(str(folder), options, name="mine", kept=500))
    return card


def test_many_small_shards_of_a_strangers_base_count_together(stranger: tuple[Worker, Callable[[], Path]]) -> None:
    worker, upload = stranger
    home = upload()
    (home / "base" / "model.safetensors").unlink()
    for shard in range(1, 5):
        name = f"model-0000{shard}-of-00004.safetensors"
        written_header(home / "base" / name, [f"s{shard}.{n}" for n in range(1000)])
    with pytest.raises(BadBase, match="more tensors than are read"):
        loaded(worker, home / "model")


def test_a_strangers_base_holds_no_tensors_that_belong_to_nothing(stranger: tuple[Worker, Callable[[], Path]]) -> None:
    worker, upload = stranger
    home = upload()
    weights = home / "base" / "model.safetensors"
    save_file({**load_file(weights), **{f"spare{n}": torch.zeros(0) for n in range(500)}}, weights, {"format": "pt"})
    with pytest.raises(BadBase, match="hold 542 tensors, and its config.json describes 42 parameters"):
        loaded(worker, home / "model")


@pytest.mark.parametrize("field", ["num_hidden_layers", "n_layer", "decoder_layers"])
def test_a_strangers_base_is_not_deeper_than_those_that_fit(field: str) -> None:
    check_config({"model_type": "gpt2", field: 48}, "base", public_trust())
    with pytest.raises(BadBase, match="at most 64 layers"):
        check_config({"model_type": "gpt2", field: 65}, "base", public_trust())


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_the_files_of_an_upload_are_bounded_together_and_read_once(tmp_path: Path) -> None:
    for name in ("a.json", "b.json", "c.json"):
        (tmp_path / name).write_text(json.dumps([name, *[1] * 39]))
    with reading_at_most(90):
        first = read_json(tmp_path / "a.json")
        assert all(read_json(tmp_path / "a.json") is first for _ in range(5))
        read_json(tmp_path / "b.json")
        with pytest.raises(ValueError, match="all files of an upload together"):
            read_json(tmp_path / "c.json")
        with reading_at_most(1000), pytest.raises(ValueError, match="all files of an upload together"):
            read_json(tmp_path / "c.json")
    assert len(read_json(tmp_path / "c.json")) == 40


def test_a_load_with_many_large_records_of_seeds_reads_few_of_them(
    stranger: tuple[Worker, Callable[[], Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, upload = stranger
    home = upload()
    for seed in range(30):
        folder = home / "seeds" / f"seed_{seed}"
        folder.mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_text("x")
        (folder / "training.json").write_text(json.dumps({"x": [seed, *[1] * 50_000]}))
    from gradiend_ui.engine.files import json_files

    values = []
    own = json_files.parse_json
    monkeypatch.setattr(
        json_files, "parse_json", lambda raw, **limits: values.append(raw.count(b",")) or own(raw, **limits)
    )
    assert loaded(worker, home / "model")["mapped_weights"]
    assert sum(values) < 450_000


def test_a_report_lists_so_many_seeds(tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    runs = [{"seed": n} for n in range(MAX_SEEDS + 5)]
    (tmp_path / "seeds" / "seed_report.json").write_text(json.dumps({"runs": runs}))
    assert len(read_run_folder(tmp_path).seeds) == MAX_SEEDS


def test_so_many_folders_of_seeds_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "MAX_SEEDS", 3)
    for seed in range(5):
        folder = tmp_path / "seeds" / f"seed_{seed}"
        folder.mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_text("x")
    assert [seed.seed for seed in read_run_folder(tmp_path).seeds] == [0, 1, 2]


# --- rows and texts ---------------------------------------------------------------------------------------------------


def test_a_load_plans_a_part_of_a_strangers_rows(
    stranger: tuple[Worker, Callable[[], Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradiend_ui.engine.worker import health_card

    worker, upload = stranger
    home = upload()
    head = "masked,label,label_class,alternative,alternative_class,split\n"
    lines = [f"so [MASK] said {n},{'he,M,she,F' if n % 2 else 'she,F,he,M'},test\n" for n in range(5000)]
    (home / "model" / "eval.csv").write_text(head + "".join(lines))
    planned = []
    own = health_card.prepare
    monkeypatch.setattr(
        health_card,
        "prepare",
        lambda model, spec, rows, neutral: planned.append(len(rows.rows)) or own(model, spec, rows, neutral),
    )
    card = loaded(worker, home / "model")
    assert planned == [1000] and card["rows"] == {"F": {"test": 2500}, "M": {"test": 2500}}
    assert card["seconds_per_cell"] > 0


def test_a_part_is_spread_and_bounded_in_characters() -> None:
    assert Extent(3, 100).part_of(range(9), lambda _: 1) == (1, 4, 7)
    assert Extent(9, 100).part_of("abc", len) == ("a", "b", "c")
    assert Extent(9, 5).part_of(["xxx", "yyy", "z"], len) == ("xxx",)
    assert Extent(9, 5).part_of(["x" * 9, "y"], len) == ("x" * 9,)


def test_a_sweep_has_a_largest_number_of_characters() -> None:
    with pytest.raises(TooLarge, match="1,000,001 characters in its rows and texts"):
        check_size(PUBLIC.sweep_size, characters=1_000_001)


@pytest.mark.parametrize(
    ("kind", "most", "max_rows", "words"),
    [
        ("characters", 500, 2, "characters in its rows and texts"),
        ("rows", 75, 2, "evaluation rows"),  # a tenth of the table's 760
        ("rows", 80, None, "evaluation rows"),
        ("texts", 10, 2, "neutral texts"),
    ],
)
def test_a_sweep_over_the_limit_is_refused_before_anything_is_tokenized(
    stranger: tuple[Worker, Callable[[], Path]],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    most: int,
    max_rows: int | None,
    words: str,
) -> None:
    worker, _ = stranger
    checkpoint = worker.answer(Load("demo", {}))["checkpoint"]
    spec = {"max_rows": max_rows, "learning_rates": [0.1], "feature_factors": [1.0]}
    monkeypatch.setattr(worker._resources, "prepared", None)
    with pytest.raises(TooLarge, match=words):
        worker.answer(StartSweep(checkpoint, AskedSweep.of(spec), most={kind: most}))


def test_blocks_are_cut_in_one_pass_over_the_groups() -> None:
    class Group(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Group.compared += 1
            return str.__eq__(self, str(other))

        __hash__ = str.__hash__

    groups = [Group(n % 500) for n in range(2000)]
    blocks = cut([5] * 2000, groups, BatchLimits())
    assert sorted(place for chunk in blocks.chunks for place in chunk) == list(range(2000))
    assert Group.compared < 10_000


# --- zips -------------------------------------------------------------------------------------------------------------


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpack(path: Path) -> Path:
    return unpack_archive(path, path.parent / "uploads", allow_pickled=False, limits=PUBLIC_LIMITS)


def test_many_small_members_of_zeros_are_a_bomb(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {f"m{n}.json": bytes(1024 * 1024) for n in range(40)})
    with pytest.raises(TooLarge, match="would unpack to 40.0 MB, more than 100 times as much"):
        unpack(path)
    assert not list((tmp_path / "uploads").rglob("*")) if (tmp_path / "uploads").exists() else True


def test_a_mask_of_mostly_zeros_is_none(tmp_path: Path) -> None:
    mask = (torch.rand(4_000_000, generator=torch.Generator().manual_seed(1)) < 0.01).to(torch.uint8)
    save_file({"L0": mask}, tmp_path / "mapping_masks.safetensors")
    content = (tmp_path / "mapping_masks.safetensors").read_bytes()
    home = unpack(zipped(tmp_path / "a.zip", {"model/mapping_masks.safetensors": content}))
    assert (home / "model" / "mapping_masks.safetensors").read_bytes() == content


@pytest.mark.parametrize("second", ["same", "overlapping"])
def test_members_that_share_their_bytes_are_refused(tmp_path: Path, second: str) -> None:
    path = zipped(tmp_path / "a.zip", {"a.json": bytes(range(256)) * 40, "b.json": bytes(range(255, -1, -1)) * 40})
    with zipfile.ZipFile(path) as archive:
        first, other = archive.infolist()
        start = archive.start_dir
    raw = bytearray(path.read_bytes())
    place = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02", start) + 4) + 42  # where the second one says it begins
    moved = first.header_offset if second == "same" else other.header_offset - 1
    raw[place : place + 4] = struct.pack("<I", moved)
    path.write_bytes(raw)
    with pytest.raises(GradiendUIError, match="shares its bytes"):
        unpack(path)


# --- loads ------------------------------------------------------------------------------------------------------------


def test_loads_have_an_hourly_quota_for_each_visitor() -> None:
    now = [0.0]
    loads = Hourly("changed models", 2, clock=lambda: now[0])
    for _ in range(2):
        loads.count("anna")
    with pytest.raises(Busy, match="2 of your changed models came within an hour, and at most 2 may"):
        loads.count("anna")
    loads.count("ben")
    now[0] = 3601.0
    loads.count("anna")
    assert set(loads._times) == {"anna"}


def test_the_oldest_loads_that_no_sweep_uses_go(stranger: tuple[Worker, Callable[[], Path]]) -> None:
    worker, _ = stranger
    store = worker._store
    handles = []
    for direction in ({"M": 1, "F": -1}, {"M": -1, "F": 1}, {"M": 1, "F": -1, "other": 0}, {"M": 0, "F": 1}):
        handles.append(worker.answer(Load("demo", {"encoding_direction": direction}, kept=2))["checkpoint"])
        if len(handles) == 1:
            spec = {"max_rows": 2, "learning_rates": [0.1], "feature_factors": [1.0]}
            worker.answer(StartSweep(handles[0], AskedSweep.of(spec)))
    kept = {handle for handle, *_ in store.checkpoint_sources()}
    assert kept == {handles[0], *handles[2:]}
    with pytest.raises(GradiendUIError, match="no longer: load it again"):
        store.checkpoint(handles[1])


def test_a_demo_that_is_open_already_is_not_read_again(
    stranger: tuple[Worker, Callable[[], Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, _ = stranger
    card = worker.answer(Load("demo", {}))
    monkeypatch.setattr(worker._resources, "read_checkpoint", None)
    assert worker.answer(Load("demo", {})) == card


def test_options_of_a_load_are_small() -> None:
    with pytest.raises(BadGrid, match="names 1,001 classes; at most 1,000"):
        checked_direction({f"c{n}": 1 for n in range(1001)})
    with pytest.raises(BadGrid, match="a class with 201 characters"):
        checked_direction({"x" * 201: 1})
    with pytest.raises(BadGrid, match="for each class, not an object of 1"):
        checked_direction({"x" * 100_000: 2})


# --- whose request it is ----------------------------------------------------------------------------------------------


HEADERS = {"x-forwarded-for": "203.0.113.9"}
VISITORS = Visitors(public=True, proxies=1)


def plain() -> str:
    return who_asks()


async def steps_in_the_loop() -> AsyncIterator[str]:
    for _ in range(3):
        yield who_asks()


def steps() -> Iterator[str]:
    for _ in range(3):
        yield who_asks()


def in_a_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """What the coroutine gives, in a thread with an event loop of its own, which is closed: Gradio leaves its open."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def built() -> gr.Blocks:
    with gr.Blocks() as blocks:
        shown = gr.Textbox()
        gr.api(plain, api_name="api")
        gr.Button().click(plain, None, shown, api_name="queued")
        gr.Button().click(plain, None, shown, api_name="unqueued", queue=False)
        gr.Button().click(steps, None, shown, api_name="steps")
        gr.Button().click(steps_in_the_loop, None, shown, api_name="steps_in_the_loop")
    guard(blocks, VISITORS)
    return blocks


@pytest.fixture(scope="module")
def blocks() -> gr.Blocks:
    """An app behind the guard, whose functions answer who asks the worker through them."""
    blocks: gr.Blocks = in_a_loop(built())
    return blocks


@pytest.mark.parametrize("name", ["api", "queued", "unqueued", "steps", "steps_in_the_loop"])
def test_functions_of_every_kind_ask_for_their_visitor(blocks: gr.Blocks, name: str) -> None:
    function = next(fn for fn in blocks.fns.values() if fn.api_name == name)
    request: Any = SimpleNamespace(client=SimpleNamespace(host="127.0.0.1"), headers=HEADERS)

    async def called() -> list[str]:
        first = await blocks.call_function(function, [], requests=request)
        said, going_on = [first["prediction"]], first["iterator"]
        while going_on is not None:
            step = await blocks.call_function(function, [], iterator=going_on, requests=request)
            said += [step["prediction"]] if step["is_generating"] and step["iterator"] is not None else []
            going_on = step["iterator"]
        return said

    said = in_a_loop(called())
    assert set(said) == {VISITORS.named("127.0.0.1", HEADERS)} and len(said) == (3 if "steps" in name else 1)
    assert who_asks() == ""


# --- comparisons ------------------------------------------------------------------------------------------------------


def test_a_large_comparison_is_asked_for_in_pieces_and_says_the_same(demo: Path, tmp_path: Path) -> None:
    worker = Worker(Store(tmp_path / "runs.sqlite"), tmp_path, demo)
    checkpoint = worker.answer(Load("demo", {}))["checkpoint"]
    spec = {"max_rows": 2, "learning_rates": [0.1], "feature_factors": [1.0]}
    run = worker.answer(StartSweep(checkpoint, AskedSweep.of(spec)))["run"]
    asked: list[Request[Any]] = []

    class Client:
        def ask(self, request: Request[Answer]) -> Answer:
            asked.append(request)
            return worker.answer(request)

    shared: Any = SimpleNamespace(worker=Client())
    cells = (Cell(1.0, 0.1), Cell(-1.0, 0.1))
    texts = [f"{n} the cook slept and so [MASK] said." + " and so on" * 20 for n in range(8)] + ["no mask"]
    Comparisons(shared).ahead(run, cells, texts[:1], {})
    assert not asked, "a small one is asked for at once"
    Comparisons(shared).ahead(run, cells, texts, {"skip_bad": True})
    assert [type(request) for request in asked] == [CompareAhead] * 6
    compared = Compare(run, cells, tuple(texts), {"skip_bad": True})
    known = len(worker._resources.answers)
    pieced = worker.answer(compared)
    assert len(worker._resources.answers) == known, "nothing is left to compute"
    worker._resources.answers = Memory()
    whole = worker.answer(compared)
    for one, other in zip(pieced["texts"], whole["texts"], strict=True):
        assert one.get("error") == other.get("error")
        for mask, same in zip(one["masks"], other["masks"], strict=True):
            for column, again in zip((mask["base"], *mask["cells"]), (same["base"], *same["cells"]), strict=True):
                assert column["classes"] == pytest.approx(again["classes"], abs=1e-5)


@pytest.mark.parametrize("public", [True, False])
def test_a_public_server_has_comparisons_worked_out_ahead(public: bool) -> None:
    told: list[str] = []
    session: Any = SimpleNamespace(
        _public=public,
        _store=SimpleNamespace(revision=lambda run: None),
        _worker=SimpleNamespace(ask=lambda request: told.append(type(request).__name__)),
        compared=SimpleNamespace(ahead=lambda *asked: told.append("ahead")),
    )
    Session.compare(session, "run", [], ["a"], {})
    assert told == (["ahead", "Compare"] if public else ["Compare"])


def test_tables_of_all_visitors_together_are_kept_up_to_so_many_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "KEPT_DATA_BYTES", 400_000)
    resources = Resources(Store(tmp_path / "runs.sqlite"), tmp_path, tmp_path / "demos", public_trust())
    small = {"upload": keep_upload(tmp_path, b"text\n" + b"a word\n" * 100, ".csv")}
    kept = resources.data.read_upload(small)
    assert resources.data.read_upload(small) is kept
    for number in range(20):
        table = b"text\n" + b"".join(b"%d words of a row\n" % row for row in range(number, number + 2000))
        resources.data.read_upload({"upload": keep_upload(tmp_path, table, ".csv")})
        assert len(resources.data.kept) <= 3
    assert resources.data.read_upload(small) is not kept
    resources.store.close()


def test_of_every_kind_of_data_the_size_is_known() -> None:
    rows = read_rows([{"masked": "A [MASK] b " + "c " * 500, "label": "x", "label_class": "X", "alternative": "y",
                       "alternative_class": "Y", "split": "test"}] * 50)  # fmt: skip
    texts = ("a text of some words " * 50,) * 40
    assert data_module._size_of(rows) > 50 * 1000
    assert data_module._size_of(texts) > 40 * 1000
    assert data_module._size_of(Companions(rows, {"own": texts})) > 90_000
    assert data_module._size_of(None) == 0
