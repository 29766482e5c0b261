"""A folder that is written beside its place is there whole or not at all; a memory that is bounded drops the oldest."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradiend_ui.engine.files.bounded_cache import Memory
from gradiend_ui.engine.files.whole_or_absent import new_folder, noting


class Noted:
    """The names of what is noted, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __getattr__(self, what: str):
        return lambda *places, **more: self.said.append(what)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_a_folder_appears_whole_at_its_place(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "made"
    with new_folder(place) as stage:
        (stage / "a").write_text("1")
        assert not place.exists() and stage.parent == place.parent
    assert names(tmp_path) == {"deep", "deep/made", "deep/made/a"}


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "made"
    for before in (set(), {"made", "made/old"}):
        if before:
            place.mkdir()
            (place / "old").touch()
        with pytest.raises(ZeroDivisionError), new_folder(place) as stage:
            (stage / "new").touch()
            _ = 1 / 0
        assert names(tmp_path) == before


def test_a_folder_is_replaced_only_where_it_may(tmp_path: Path) -> None:
    place = tmp_path / "made"
    place.mkdir()
    (place / "old").touch()
    with pytest.raises(OSError), new_folder(place, replaces=False) as stage:
        (stage / "new").touch()
    assert names(tmp_path) == {"made", "made/old"}
    with new_folder(place) as stage:
        (stage / "new").touch()
    assert names(tmp_path) == {"made", "made/new"}


def test_a_part_of_it_can_be_what_becomes_the_folder(tmp_path: Path) -> None:
    notes = Noted()
    with noting(notes), new_folder(tmp_path / "made", clearable=True, inside="clean") as stage:
        (stage / "raw").mkdir()
        (stage / "clean").mkdir()
        (stage / "clean" / "a").touch()
    assert names(tmp_path) == {"made", "made/a"}
    assert notes.said == ["expect", "there", "keeps", "forget"]
    with noting(notes), new_folder(tmp_path / "made", clearable=True) as stage:
        (stage / "b").touch()
    assert names(tmp_path) == {"made", "made/b"} and notes.said[6:8] == ["keeps", "swaps"]


def test_a_memory_counts_values_or_bytes() -> None:
    memory: Memory[int] = Memory(2)
    for number, name in enumerate("abc"):
        memory.keep(name, number)
    assert "a" not in memory and list(memory.values()) == [1, 2]
    assert memory.look("b") == 1  # which is no use of it
    memory.keep("d", 3)
    assert "b" not in memory and memory.get("c") == 2
    memory.keep("e", 4)
    assert list(memory.values()) == [2, 4] and memory.get("d") is None
    memory.drop_unless(lambda value: value > 2)
    memory.drop("nothing")
    assert list(memory.values()) == [4] and len(memory) == 1
    memory.clear()
    memory.keep("f", 5, 2)
    assert list(memory.values()) == [5]
