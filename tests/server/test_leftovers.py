"""What is listed as made here goes once it had its time; what is finished, used, replaced, added or unlisted stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from gradiend_ui.engine.data.uploaded_tables import keep_upload, upload_path
from gradiend_ui.engine.errors import Failed
from gradiend_ui.engine.files.whole_or_absent import keep_whole, noting, replace_folder, unfinished
from gradiend_ui.engine.store.inventory import Inventory, Kind, content_of, identity_of
from gradiend_ui.engine.store.opening import opened_store
from gradiend_ui.engine.store.store import Store
from gradiend_ui.engine.values import Cell
from gradiend_ui.engine.worker.requests import Load, Pack
from gradiend_ui.server.housekeeping import Housekeeping
from gradiend_ui.server.leftovers import (
    CACHE_SECONDS,
    DAY,
    RUN_SECONDS,
    STAGE_SECONDS,
    UNFINISHED_SECONDS,
    UPLOAD_SECONDS,
    drop_exports,
    drop_old_runs,
    make_room,
    tidy,
    used_uploads,
)

SHA, OTHER = "a" * 64, "b" * 64
LATER = 1000 * DAY
Make = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "runs.sqlite")
    yield store
    store.close()


@pytest.fixture
def made(store: Store, tmp_path: Path) -> Inventory:
    return Inventory(store, tmp_path)


@pytest.fixture
def make(made: Inventory) -> Make:
    """make("exports/x", "export") makes a folder with a file, noted as the writers do; csv and zip are files."""

    def making(name: str, kind: Kind = "unfinished") -> Path:
        path = made.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        source = path.with_name("source") if kind in ("export", "upload") else path
        if source == path:
            made.expect(path, kind=kind)
        is_file = path.suffix in (".csv", ".zip")
        source.touch() if is_file else source.mkdir()
        if source == path:
            made.there(path)
        (source if is_file else source / "file").write_text("123", encoding="utf-8")
        if source != path:
            made.keeps(path, source, kind=kind)
            source.rename(path)
        return path

    return making


def names(folder: Path) -> set[str]:
    found = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()
    }
    return {name for name in found if not name.startswith("runs.sqlite")}


def others(folder: Path, names: set[str]) -> dict[str, bytes]:
    """Somebody else's files under these names; {name: content} of them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"mine: {name}".encode())
    return {name: (folder / name).read_bytes() for name in names}


def test_at_start_everything_unfinished_goes_whatever_its_age(made: Inventory, make: Make, tmp_path: Path) -> None:
    kept = others(tmp_path, {"exported/she/model.safetensors", "lock", "runs.damaged-20260101.sqlite"})
    make(f"uploads/{SHA}.csv", "upload"), make(f"uploads/{OTHER}", "upload")
    make(".she.partial-0123abcd"), make("exported/.she.partial-0123abcd"), make("uploads/.x.csv.partial-1.csv")
    make("downloads/abc", "cache"), make("exports/xyz/she.zip", "export")
    made.folder(tmp_path / "exports" / "empty", "place")
    done = tidy(made, time.time(), (), at_start=True)
    assert names(tmp_path) == {*kept, f"uploads/{SHA}.csv", f"uploads/{OTHER}/file"}
    assert len(done.removed) == 6 and done.bytes == 5 * 3 and done.restored == ()
    assert [noted.kind for noted in made.lines()] == ["upload", "upload"]
    assert tidy(made, time.time(), (), at_start=True) == type(done)()


@pytest.mark.parametrize(
    ("name", "kind", "limit"),
    [
        ("exports/xyz/she.zip", "export", STAGE_SECONDS),
        ("exported/.she.partial-0123abcd", "unfinished", UNFINISHED_SECONDS),
        ("uploads/.x.partial-0123abcd.csv", "unfinished", UNFINISHED_SECONDS),
        ("downloads/abc", "cache", CACHE_SECONDS),
        (f"uploads/{SHA}.csv", "upload", UPLOAD_SECONDS),
        (f"uploads/{SHA}", "upload", UPLOAD_SECONDS),
    ],
)
def test_later_only_what_had_its_time_goes(
    made: Inventory, make: Make, tmp_path: Path, name: str, kind: Kind, limit: float
) -> None:
    make(name, kind)
    now = time.time()
    assert tidy(made, now + limit - 60, ()).removed == ()
    assert len(names(tmp_path)) == len(made.lines()) == 1
    assert tidy(made, now + limit + 60, ()).removed == (name,)
    assert names(tmp_path) == set() and made.lines() == []


def test_every_kind_has_its_time() -> None:
    from gradiend_ui.server.leftovers import _SECONDS

    assert set(_SECONDS) == set(get_args(Kind))


def test_one_new_file_keeps_what_is_being_written(made: Inventory, make: Make) -> None:
    stage = make("exported/.she.partial-0123abcd")
    now = time.time()
    os.utime(stage / "file", (now + LATER, now + LATER))
    assert tidy(made, now + LATER, ()).removed == ()


def test_of_the_servers_own_cache_only_what_is_in_it_goes(made: Inventory, tmp_path: Path) -> None:
    cache = made.folder(tmp_path / "downloads" / "now", "cache")
    (cache / "abc").mkdir()
    (cache / "abc" / "table.csv").write_text("x")
    now = time.time()
    assert tidy(made, now + CACHE_SECONDS - 60, (), cache=cache).removed == ()
    assert tidy(made, now + CACHE_SECONDS + 60, (), cache=cache).removed == ("downloads/now/abc",)
    assert cache.is_dir() and len(made.lines()) == 1
    assert tidy(made, now, (), at_start=True).removed == ("downloads/now",)


def test_uploads_that_are_used_stay(made: Inventory, make: Make, tmp_path: Path) -> None:
    make(f"uploads/{SHA}.csv", "upload"), make(f"uploads/{OTHER}", "upload"), make(f"uploads/{OTHER}.csv", "upload")
    assert tidy(made, time.time() + LATER, {f"{SHA}.csv", OTHER}).removed == (f"uploads/{OTHER}.csv",)


def test_uploads_stay_while_a_store_is_set_aside(made: Inventory, make: Make, tmp_path: Path) -> None:
    make(f"uploads/{SHA}.csv", "upload")
    aside = tmp_path / "runs.damaged-20260101-000000.sqlite"
    aside.touch()
    assert tidy(made, time.time() + LATER, ()).removed == ()
    aside.unlink()
    assert tidy(made, time.time() + LATER, ()).removed == (f"uploads/{SHA}.csv",)


# --- what is not ours -------------------------------------------------------------------------------------------------


def test_what_no_line_names_stays_whatever_it_is_called(made: Inventory, make: Make, tmp_path: Path) -> None:
    foreign = others(
        tmp_path,
        {"downloads/thesis.pdf", "downloads/abc/table.csv", "exports/paper.txt", "exports/xyz/she.zip",
         f"uploads/{SHA}.csv", f"uploads/{SHA}/config.json", "uploads/.x.partial-0/x", f"uploads/{SHA}.0.part/x",
         ".x.partial-0/x", ".x.old-1/x", "exported/.she.partial-0123abcd/x", "exported/.they.old-0123abcd/x",
         "runs.damaged-1", f"{SHA}/x"},
    )  # fmt: skip
    (tmp_path / "runs.damaged-1").rename(tmp_path / "elsewhere")
    foreign["elsewhere"] = foreign.pop("runs.damaged-1")
    for at_start in (True, False):
        assert tidy(made, time.time() + LATER, (), at_start=at_start) == type(tidy(made, 0.0, ()))()
    assert {name: (tmp_path / name).read_bytes() for name in foreign} == foreign


def test_an_entry_beside_a_listed_one_stays(made: Inventory, make: Make, tmp_path: Path) -> None:
    place = made.folder(tmp_path / "exports" / "tok", "place")
    make("exports/tok/she.zip", "export")
    (place / "mine.txt").write_text("mine")
    tidy(made, time.time(), (), at_start=True)
    assert names(tmp_path) == {"exports/tok/mine.txt"}
    (place / "mine.txt").unlink()
    tidy(made, time.time(), (), at_start=True)
    assert not place.exists() and made.lines() == []


@pytest.mark.parametrize("as_folder", [False, True])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (f"uploads/{SHA}.csv", "upload"),
        (f"uploads/{SHA}", "upload"),
        ("exports/xyz/she.zip", "export"),
        ("exported/.she.partial-0123abcd", "unfinished"),
        ("downloads/abc", "cache"),
    ],
)
def test_what_took_the_place_of_a_listed_thing_stays(
    made: Inventory, make: Make, tmp_path: Path, name: str, kind: Kind, as_folder: bool
) -> None:
    path = make(name, kind)
    path.rename(tmp_path / "moved")
    if as_folder:
        path.mkdir()
        (path / "file").write_text("123")
    else:
        path.write_text("123")
    before = names(tmp_path)
    for at_start in (False, True):
        assert tidy(made, time.time() + LATER, (), at_start=at_start).removed == ()
    assert names(tmp_path) == before and made.lines() == []


def test_a_thing_with_the_number_of_the_old_one_is_told_by_its_birth(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen = set()
    for _ in range(20):
        path.write_text("x")
        seen.add(identity_of(path))
        path.unlink()
        time.sleep(0.01)
    births = {identity.rpartition(":")[2] for identity in seen}
    assert births == {"0"} or len(seen) == 20


def test_what_was_changed_or_added_to_since_it_was_finished_stays(made: Inventory, make: Make, tmp_path: Path) -> None:
    (make(f"uploads/{SHA}.csv", "upload")).write_text("changed")
    (make(f"uploads/{SHA}", "upload") / "mine.txt").write_text("mine")
    (make(f"uploads/{OTHER}", "upload") / "file").write_text("changed")
    before = names(tmp_path)
    assert tidy(made, time.time() + LATER, ()).removed == ()
    assert names(tmp_path) == before


def test_what_was_noted_and_never_begun_proves_nothing(made: Inventory, tmp_path: Path) -> None:
    """A kill between the note and the making, and one right after the making; then somebody took a name."""
    for name in ("never", "bare", "filled", "empty.txt", "full.txt"):
        made.expect(tmp_path / name)
    (tmp_path / "bare").mkdir()
    (tmp_path / "empty.txt").touch()
    others(tmp_path, {"filled/mine", "full.txt"})
    assert tidy(made, time.time(), ()).removed == () and len(made.lines()) == 5, "it may be begun right now"
    assert tidy(made, time.time(), (), at_start=True).removed == ("bare", "empty.txt")
    assert names(tmp_path) == {"filled/mine", "full.txt"} and made.lines() == []


def test_links_are_removed_as_links_and_never_followed(made: Inventory, make: Make, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    others(tmp_path, {"outside/file"})
    made.expect(tmp_path / "link")
    (tmp_path / "link").symlink_to(outside)
    made.there(tmp_path / "link")
    (make("exported/.she.partial-0123abcd") / "inner").symlink_to(outside)
    replaced = make("uploads/.x.partial-1")
    replaced.rename(tmp_path / "moved")
    replaced.symlink_to(outside)
    done = tidy(made, time.time(), (), at_start=True)
    assert done.removed == ("exported/.she.partial-0123abcd", "link")
    assert names(tmp_path) == {"outside/file", "moved/file", "uploads/.x.partial-1"}


def test_what_a_link_leads_to_is_left_alone(made: Inventory, make: Make, tmp_path: Path) -> None:
    make("uploads/.x.partial-1"), make(f"uploads/{SHA}", "upload"), make("exports/x/she.zip", "export")
    for name in ("uploads", "exports"):
        (tmp_path / name).rename(tmp_path / f"elsewhere-{name}")
        (tmp_path / name).symlink_to(tmp_path / f"elsewhere-{name}")
    before = names(tmp_path)
    for at_start in (False, True):
        assert tidy(made, time.time() + LATER, (), at_start=at_start).removed == ()
    assert names(tmp_path) == before


def test_one_that_cannot_be_removed_stops_nothing(made: Inventory, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    make("exported/a"), make("exported/b")
    remove = shutil.rmtree

    def stubborn(path: Path) -> None:
        if Path(path).name == "b":
            raise PermissionError(13, "not yours")
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", stubborn)
    assert tidy(made, time.time(), (), at_start=True).removed == ("exported/a",)
    assert [noted.place for noted in made.lines()] == ["exported/b"], "it is still to be removed"


# --- how things get on the list, and off it ---------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_being_written_is_listed_before_it_is_there(
    made: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    seen: list[tuple[bool, bool]] = []
    expect = Inventory.expect

    def watching(self: Inventory, place: Path, **how: object) -> None:
        expect(self, place, **how)  # type: ignore[arg-type]
        seen.append((place.exists(), made.line_at(place) is not None))

    monkeypatch.setattr(Inventory, "expect", watching)
    with noting(made), unfinished(tmp_path / "x.csv", folder=folder) as partial:
        assert seen == [(False, True)] and partial.exists()
        assert made.lines()[0].identities == (identity_of(partial),)
        (partial / "inside" if folder else partial).write_text("half")
    assert names(tmp_path) == set() and made.lines() == []
    with unfinished(tmp_path / "x.csv") as partial:
        assert partial.exists() and made.lines() == [], "without a list nothing is noted"


def test_nothing_is_written_that_cannot_be_noted(
    made: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Store, noted: object) -> None:
        raise Failed("The disk is full.")

    monkeypatch.setattr(Store, "note_made", full)
    with noting(made), pytest.raises(Failed, match="disk is full"):
        keep_upload(tmp_path, b"a,b\n1,2\n", ".csv")
    assert names(tmp_path) == set()


def test_a_finished_upload_is_listed_before_it_has_its_name(
    made: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, seen = os.replace, []

    def watching(source: Path, target: Path) -> None:
        noted = made.line_at(Path(target))
        seen.append(noted is not None and noted.identities == (identity_of(Path(source)),))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watching)
    with noting(made):
        upload = keep_upload(tmp_path, b"a,b\n1,2\n", ".csv")
        assert seen == [True] and [noted.place for noted in made.lines()] == [f"uploads/{upload}"]
        assert made.is_listed(tmp_path / "uploads" / upload)
        keep_upload(tmp_path, b"a,b\n1,2\n", ".csv")
    assert len(made.lines()) == 1


def test_a_file_under_an_uploads_name_is_not_replaced(made: Inventory, tmp_path: Path) -> None:
    content = b"a,b\n1,2\n"
    upload = keep_upload(tmp_path, content, ".csv")
    path = tmp_path / "uploads" / upload
    for foreign in (b"x" * len(content), b"mine"):
        path.write_bytes(foreign)
        with noting(made), pytest.raises(Failed, match="is not the table of that name"):
            keep_upload(tmp_path, content, ".csv")
        assert path.read_bytes() == foreign and made.lines() == []


@pytest.mark.parametrize("swaps", [True, False])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_replacement_that_is_cut_off_is_cleared_or_put_back(
    made: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool, at: int
) -> None:
    """Killed after the n-th rename of a folder that takes another's place: the name is there, nothing is left over."""
    from gradiend_ui.engine.files import whole_or_absent

    others(tmp_path, {"exported/she/old"})
    done = 0

    class Killed(BaseException):
        pass

    def killing(real: Callable[..., object]) -> Callable[..., object]:
        def step(*places: Path) -> object:
            nonlocal done
            answer = real(*places)
            done += 1
            if done == at:
                raise Killed
            return answer

        return step

    monkeypatch.setattr(
        whole_or_absent, "exchange", killing(whole_or_absent.exchange) if swaps else lambda one, other: False
    )
    monkeypatch.setattr(os, "replace", killing(os.replace))
    monkeypatch.setattr(whole_or_absent, "_gone", lambda partial, notes: None)
    forget = Inventory.forget
    monkeypatch.setattr(Inventory, "forget", lambda self, place: None)
    place = tmp_path / "exported" / "she"
    try:
        with noting(made), unfinished(place, folder=True) as partial:
            (partial / "new").write_text("new")
            replace_folder(partial, place, place.with_name(".she.old-1"))
    except Killed:
        pass
    monkeypatch.setattr(Inventory, "forget", forget)
    done_by = tidy(made, time.time(), (), at_start=True)
    assert done_by.restored == (("exported/she",) if not swaps and at == 1 else ())
    assert names(tmp_path) == ({"exported/she/old"} if not swaps and at == 1 else {"exported/she/new"})
    assert made.lines() == []


def test_leftovers_outside_the_data_folder_are_cleared_too(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    store = Store(tmp_path / "home" / "runs.sqlite")
    made, mine = Inventory(store, tmp_path / "home"), tmp_path / "mine"
    others(tmp_path, {"mine/.she.partial-0/x", "mine/she/x"})
    made.folder(mine / ".she.partial-1", "unfinished")
    others(tmp_path, {"mine/.she.partial-1/x"})
    assert tidy(made, time.time(), (), at_start=True).removed == (str(mine / ".she.partial-1"),)
    assert names(mine) == {".she.partial-0/x", "she/x"} and made.lines() == []
    store.close()


def test_the_list_outlives_a_damaged_store(made: Inventory, make: Make, store: Store, tmp_path: Path) -> None:
    make("exported/.she.partial-1"), make(f"uploads/{SHA}.csv", "upload")
    lines = made.lines()
    store.close()
    path = tmp_path / "runs.sqlite"
    import sqlite3

    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE runs")
    db.close()
    again, notice = opened_store(path)
    assert notice is not None and again.made() == lines
    again.close()


def test_a_damaged_line_takes_no_other_with_it(made: Inventory, make: Make, store: Store) -> None:
    make("exported/.she.partial-1")
    with store._writing() as db:
        db.execute("INSERT INTO made VALUES (?, 'everything', '', '', NULL, 0)", (b"exported",))
        db.execute("INSERT INTO made VALUES (?, 'unfinished', '', '', NULL, 'never')", (b"uploads",))
    assert [noted.place for noted in made.lines()] == ["exported/.she.partial-1"]


def test_names_that_are_no_text_are_listed(made: Inventory, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9-" + b"x" * 200)
    with noting(made), unfinished(tmp_path / name) as partial:
        assert made.path_of(made.lines()[0]) == partial
    assert made.lines() == []


def test_the_content_of_a_folder_is_all_that_is_in_it(tmp_path: Path) -> None:
    others(tmp_path, {"a/b/c"})
    seen = [content_of(tmp_path)]
    for change in (
        lambda: (tmp_path / "a" / "new").mkdir(),
        lambda: (tmp_path / "a" / "new" / "link").symlink_to("/"),
        lambda: (tmp_path / "a" / "b" / "c").write_text("longer than before"),
        lambda: (tmp_path / "a" / "b").rename(tmp_path / "a" / "d"),
    ):
        change()
        seen.append(content_of(tmp_path))
    assert len(set(seen)) == 5
    os.utime(tmp_path)
    assert content_of(tmp_path) == seen[-1], "reading an upload keeps it young, and changes nothing"


def test_an_exports_hour(made: Inventory, make: Make, tmp_path: Path) -> None:
    made.folder(tmp_path / "exports" / "tok", "place")
    make("exports/tok/she.zip", "export"), make("exported/.x.partial-1")
    drop_exports(made, time.time() + STAGE_SECONDS - 60)
    assert names(tmp_path) == {"exports/tok/she.zip", "exported/.x.partial-1/file"}
    drop_exports(made, time.time() + STAGE_SECONDS + 60)
    assert names(tmp_path) == {"exported/.x.partial-1/file"} and not (tmp_path / "exports" / "tok").exists()


@pytest.mark.parametrize("oldest", [0, 1, 2])
def test_the_longest_unused_tables_make_room(
    made: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, oldest: int
) -> None:
    monkeypatch.setattr("gradiend_ui.engine.data.uploaded_tables.MAX_KEPT_BYTES", 45)
    with noting(made):
        tables = [keep_upload(tmp_path, bytes([65 + n]) * 20, ".csv") for n in range(4)]
    for number, table in enumerate(tables):
        age = 9 if number == oldest else 3 - number
        os.utime(tmp_path / "uploads" / table, (10**9 - age, 10**9 - age))
    foreign = others(tmp_path, {f"uploads/{SHA}.csv", "uploads/mine.txt"})
    make_room(made, tables[3])
    assert names(tmp_path) == {*foreign, *(f"uploads/{tables[n]}" for n in range(4) if n != oldest)}
    assert len(made.lines()) == 3


# --- what is used -----------------------------------------------------------------------------------------------------


def test_uploads_of_runs_and_checkpoints_are_used(store: Store, tmp_path: Path) -> None:
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


def test_reading_an_upload_keeps_it_young(tmp_path: Path) -> None:
    upload = keep_upload(tmp_path, b"masked,label\n", ".csv")
    path = tmp_path / "uploads" / upload
    os.utime(path, (0, 0))
    (tmp_path / "now").touch()
    upload_path(tmp_path, upload)
    assert path.stat().st_mtime_ns >= (tmp_path / "now").stat().st_mtime_ns


def test_runs_that_rested_for_a_month_go_with_their_numbers(store: Store) -> None:
    old, going = (store.create_run("ck", {}, {"fingerprint": "f"}, [Cell(1.0, 0.1)]) for _ in range(2))
    store.set_state(old, "stopped", only_from=("queued",))
    assert drop_old_runs(store, time.time() + RUN_SECONDS - 60) == 0
    assert drop_old_runs(store, time.time() + RUN_SECONDS + 60) == 1
    assert [run.id for run in store.runs()] == [going], "a queued run is not resting"


def test_only_a_public_server_forgets_runs(store: Store, tmp_path: Path) -> None:
    run = store.create_run("ck", {}, {"fingerprint": "f"}, [Cell(1.0, 0.1)])
    store.set_state(run, "stopped", only_from=("queued",))
    later = time.time() + 2 * RUN_SECONDS
    Housekeeping(store, tmp_path, public=False).tidy(later)
    assert store.count_runs() == 1
    Housekeeping(store, tmp_path, public=True).tidy(later)
    assert store.count_runs() == 0


def test_housekeeping_clears_up_at_start_and_by_the_hour(
    store: Store, made: Inventory, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradiend_ui.server.housekeeping.SECONDS_BETWEEN", 0.02)
    left = make("exported/.young.partial-1")
    keeping = Housekeeping(store, tmp_path, public=False)
    keeping.start()
    assert not left.exists()
    cache = keeping.cache
    young, old = make("exported/.young.partial-1"), make("exported/.old.partial-1")
    for place in (old / "file", old):
        os.utime(place, (0, 0))
    until = time.monotonic() + 60
    while old.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert cache.is_dir()
    keeping.close()
    assert not old.exists() and young.exists() and not cache.exists()


def test_a_folder_that_appears_by_one_rename_is_listed(made: Inventory, tmp_path: Path) -> None:
    place = tmp_path / "uploads" / SHA
    place.parent.mkdir()
    with noting(made), unfinished(place, folder=True) as stage:
        (stage / "config.json").write_text("{}")
        keep_whole(stage, place)
    assert [(noted.place, noted.kind) for noted in made.lines()] == [(f"uploads/{SHA}", "upload")]
    assert made.is_listed(place)
    assert tidy(made, time.time() + LATER, ()).removed == (f"uploads/{SHA}",)


def test_the_worker_notes_what_its_requests_write(made: Inventory, store: Store, tmp_path: Path) -> None:
    import zipfile

    from gradiend_ui.engine.base.uploaded import take_in, was_taken_in
    from gradiend_ui.engine.errors import BadCheckpoint
    from gradiend_ui.engine.uploads.trust import public_trust
    from gradiend_ui.engine.worker.worker import Worker

    config = '{"architecture": {"input_dim": 2, "latent_dim": 1}, "mapping": {"param_map": []}}'
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("config.json", config)
    with noting(made):
        unpacked = take_in(tmp_path / "model.zip", tmp_path / "uploads", strangers=False)
    assert [(noted.place, noted.kind) for noted in made.lines()] == [(f"uploads/{unpacked.name}", "upload")]
    worker = Worker(store, tmp_path, tmp_path, public_trust())
    with pytest.raises(BadCheckpoint):  # the weights are missing; before, it is built anew for strangers
        worker.answer(Load(str(unpacked), {}))
    assert was_taken_in(unpacked, strangers=True)
    assert [(noted.place, noted.kind) for noted in made.lines()] == [(f"uploads/{unpacked.name}", "upload")]
    worker.answer(Pack(str(unpacked), str(tmp_path / "packed.zip")))
    assert len(made.lines()) == 1 and (tmp_path / "packed.zip").is_file(), "a finished file is not for clearing"
    assert tidy(made, time.time() + LATER, ()).removed == (f"uploads/{unpacked.name}",)
