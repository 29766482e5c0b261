"""What is left over in a data folder goes, by name and age; what is finished, used or elsewhere stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gradiend_ui.engine.leftovers import (
    CACHE_SECONDS,
    DAY,
    RUN_SECONDS,
    STAGE_SECONDS,
    UNFINISHED_SECONDS,
    UPLOAD_SECONDS,
    drop_old_runs,
    tidy,
    used_uploads,
)
from gradiend_ui.engine.store import Store
from gradiend_ui.engine.uploaded_tables import keep_upload, upload_path
from gradiend_ui.engine.values import Cell
from gradiend_ui.ui.housekeeping import Housekeeping

NOW = 2_000_000_000.0
SHA, OTHER = "a" * 64, "b" * 64
Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """made("exports/x/file", age=60) writes the file; it and its folders are that old, in seconds."""

    def make(name: str, age: float = 0.0, content: str = "123") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        for place in (path, *path.parents):
            if place == tmp_path:
                break
            os.utime(place, (NOW - age, NOW - age))
        return path

    return make


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


def test_at_start_everything_unfinished_goes_whatever_its_age(tmp_path: Path, made: Made) -> None:
    finished = {"exported/she/model.safetensors", "exported/she/manifest.json", f"uploads/{OTHER}/config.json",
                f"uploads/{SHA}.csv", "downloads/abc/table.csv", "runs.sqlite", "runs.sqlite-wal", "lock",
                "runs.damaged-20260101.sqlite"}  # fmt: skip
    for name in finished:
        made(name)
    for name in (".she.partial-0123abcd/model.safetensors", "exports/xyz/she/model.safetensors", "exports/xyz/she.zip",
                 "exported/.she.partial-0123abcd/she/config.json", "exported/many/.F.partial-0123abcd/x",
                 ".rows.csv.partial-0123abcd", f"uploads/{SHA}.0123abcd.part/config.json",
                 "uploads/.0123456789abcdef"):  # fmt: skip
        made(name)
    done = tidy(tmp_path, NOW, (), at_start=True)
    assert names(tmp_path) == finished
    assert ".she.partial-0123abcd" in done.removed and "exports/xyz" in done.removed
    assert done.bytes == 8 * 3 and done.restored == ()
    assert tidy(tmp_path, NOW, (), at_start=True) == type(done)()


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("exports/xyz/she.zip", STAGE_SECONDS),
        ("exported/.she.partial-0123abcd/she/config.json", UNFINISHED_SECONDS),
        (f"uploads/{SHA}.0123abcd.part/config.json", UNFINISHED_SECONDS),
        ("uploads/.0123456789abcdef", UNFINISHED_SECONDS),
        ("downloads/abc/table.csv", CACHE_SECONDS),
        ("downloads/tmp123", CACHE_SECONDS),
        (f"uploads/{SHA}.csv", UPLOAD_SECONDS),
        (f"uploads/{SHA}/config.json", UPLOAD_SECONDS),
    ],
)
def test_later_only_what_had_its_time_goes(tmp_path: Path, made: Made, name: str, limit: float) -> None:
    made(name, age=limit - 5)
    assert tidy(tmp_path, NOW, ()).removed == ()
    assert names(tmp_path) == {name}
    assert tidy(tmp_path, NOW + 10, ()).removed == ("/".join(name.split("/")[:2]),)
    assert names(tmp_path) == set()


def test_one_new_file_keeps_what_is_being_written(tmp_path: Path, made: Made) -> None:
    made("exports/xyz/she/new.safetensors")
    made("exports/xyz/she/config.json", age=2 * STAGE_SECONDS)
    assert tidy(tmp_path, NOW, ()).removed == ()


def test_finished_exports_and_used_uploads_never_go(tmp_path: Path, made: Made) -> None:
    old = 1000 * DAY
    kept = {"exported/she/manifest.json", "exported/she/.x.partial-0123abcd", "exported/she/model.safetensors",
            f"uploads/{SHA}.csv", f"uploads/{OTHER}/config.json", "uploads/mine.txt", "runs.sqlite"}  # fmt: skip
    for name in kept:
        made(name, age=old)
    made(f"uploads/{OTHER}.csv", age=old)
    assert tidy(tmp_path, NOW, {f"{SHA}.csv", OTHER}).removed == (f"uploads/{OTHER}.csv",)
    assert names(tmp_path) == kept


def test_uploads_stay_while_a_store_is_set_aside(tmp_path: Path, made: Made) -> None:
    made(f"uploads/{SHA}.csv", age=1000 * DAY)
    aside = made("runs.damaged-20260101-000000.sqlite")
    assert tidy(tmp_path, NOW, ()).removed == ()
    aside.unlink()
    assert tidy(tmp_path, NOW, ()).removed == (f"uploads/{SHA}.csv",)


def test_what_was_moved_aside_gets_its_name_again(tmp_path: Path, made: Made) -> None:
    made("exported/.she.old-0123abcd/manifest.json", content="old")
    made("exported/.they.old-0123abcd/manifest.json")
    made("exported/they/manifest.json", content="new")
    done = tidy(tmp_path, NOW, (), at_start=True)
    assert done.restored == ("exported/she",) and done.removed == ("exported/.they.old-0123abcd",)
    assert names(tmp_path) == {"exported/she/manifest.json", "exported/they/manifest.json"}
    assert (tmp_path / "exported" / "they" / "manifest.json").read_text(encoding="utf-8") == "new"


def test_links_are_removed_as_links_and_never_followed(tmp_path: Path, made: Made) -> None:
    outside = tmp_path / "outside"
    data = tmp_path / "data"
    made("outside/file", age=1000 * DAY)
    for name in ("exports/link", "exported/.x.partial-0123abcd", "downloads/link", f"uploads/{SHA}"):
        place = data / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(outside)
        os.utime(place, (0, 0), follow_symlinks=False)
    made("data/exports/stage/x")
    (data / "exports" / "stage" / "inner").symlink_to(outside)
    done = tidy(data, time.time() + 1000 * DAY, (), at_start=True)
    assert len(done.removed) == 5 and names(data) == set()
    assert names(outside) == {"file"}


def test_a_linked_folder_is_left_alone(tmp_path: Path, made: Made) -> None:
    for name in ("exports", "exported", "downloads", "uploads"):
        made(f"elsewhere/{name}/.x.partial-0123abcd", age=1000 * DAY)
    data = tmp_path / "data"
    data.mkdir()
    for name in ("exports", "exported", "downloads", "uploads"):
        (data / name).symlink_to(tmp_path / "elsewhere" / name)
    before = names(tmp_path)
    assert tidy(data, NOW, (), at_start=True).removed == ()
    assert names(tmp_path) == before


def test_one_that_cannot_be_removed_stops_nothing(tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    made("exports/a/x"), made("exports/b/x")
    remove = shutil.rmtree

    def stubborn(path: Path) -> None:
        if Path(path).name == "a":
            raise PermissionError(13, "not yours")
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", stubborn)
    assert tidy(tmp_path, NOW, (), at_start=True).removed == ("exports/b",)


def test_an_empty_or_missing_folder_is_tidy(tmp_path: Path) -> None:
    assert tidy(tmp_path, NOW, ()).removed == ()
    assert tidy(tmp_path / "none", NOW, (), at_start=True).removed == ()


# --- what is used -----------------------------------------------------------------------------------------------------


def test_uploads_of_runs_and_checkpoints_are_used(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.sqlite")
    table, texts = keep_upload(tmp_path, b"masked,label\n", ".csv"), keep_upload(tmp_path, b"one\n", ".txt")
    request = {"rows": {"upload": table, "name": "x"}, "neutral": {"upload": texts}}
    store.create_run("ck_swept", request, {}, [Cell(1.0, 0.1)])
    store.create_run("ck_swept", {"rows": [{"masked": "x"}], "neutral": {"upload": "../lock"}}, {}, [Cell(1.0, 0.1)])
    store.save_checkpoint("ck_swept", str(tmp_path / "uploads" / SHA / "model"), {}, {})
    store.save_checkpoint("ck_opened", str(tmp_path / "uploads" / OTHER), {}, {})
    store.save_checkpoint("ck_demo", "demo", {}, {})
    store.save_checkpoint("ck_else", str(tmp_path.parent), {"base_model": str(tmp_path / "uploads" / "c" / "base")}, {})
    assert used_uploads(store, tmp_path) == {table, texts, SHA, OTHER, "c"}
    assert used_uploads(store, tmp_path, time.time() + 1) == {table, texts, SHA}
    store.close()


def test_reading_an_upload_keeps_it_young(tmp_path: Path) -> None:
    upload = keep_upload(tmp_path, b"masked,label\n", ".csv")
    path = tmp_path / "uploads" / upload
    os.utime(path, (0, 0))
    upload_path(tmp_path, upload)
    assert time.time() - path.stat().st_mtime < 60


def test_runs_that_rested_for_a_month_go_with_their_numbers(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.sqlite")
    old, going = (store.create_run("ck", {}, {"fingerprint": "f"}, [Cell(1.0, 0.1)]) for _ in range(2))
    store.set_state(old, "stopped", only_from=("queued",))
    assert drop_old_runs(store, time.time() + RUN_SECONDS - 60) == 0
    assert drop_old_runs(store, time.time() + RUN_SECONDS + 60) == 1
    assert [run.id for run in store.runs()] == [going], "a queued run is not resting"
    store.close()


def test_only_a_public_server_forgets_runs(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs.sqlite")
    run = store.create_run("ck", {}, {"fingerprint": "f"}, [Cell(1.0, 0.1)])
    store.set_state(run, "stopped", only_from=("queued",))
    later = time.time() + 2 * RUN_SECONDS
    Housekeeping(store, tmp_path, public=False).tidy(later)
    assert store.count_runs() == 1
    Housekeeping(store, tmp_path, public=True).tidy(later)
    assert store.count_runs() == 0
    store.close()


def test_housekeeping_clears_up_at_start_and_by_the_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradiend_ui.ui.housekeeping.SECONDS_BETWEEN", 0.02)
    store = Store(tmp_path / "runs.sqlite")
    (tmp_path / "exports" / "young").mkdir(parents=True)
    keeping = Housekeeping(store, tmp_path, public=False)
    keeping.start()
    assert not (tmp_path / "exports" / "young").exists()
    old, young = tmp_path / "exports" / "old", tmp_path / "exports" / "new"
    young.mkdir()
    old.mkdir()
    os.utime(old, (0, 0))
    until = time.monotonic() + 5
    while old.exists() and time.monotonic() < until:
        time.sleep(0.02)
    keeping.close()
    assert not old.exists() and young.exists()
    store.close()
