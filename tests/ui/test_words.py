"""The texts of the page: both languages have the same keys and places, every key is there and every key is used."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from gradiend_ui.engine.errors import BadData, BadName
from gradiend_ui.server.door.gate import refused
from gradiend_ui.server.door.quotas import LOCAL
from gradiend_ui.server.door.visitors import Visitors
from gradiend_ui.ui.kit.words import LANGUAGES, Words, languages, next_language, places_of, register_language, texts_of
from gradiend_ui.ui.layout import EXPLAINED, build_app, launch_options

UI = Path(__file__).parents[2] / "gradiend_ui" / "ui"
PARTS = (UI, UI.parent / "engine", UI.parent / "server")
SOURCE = "\n".join(
    path.read_text(encoding="utf-8") for part in PARTS for path in sorted(part.rglob("*.py")) if path.name != "words.py"
)
CALL = re.compile(r"""(?:words|counted|help|explain\w*|known_as)\(\s*(f?)"([a-z_]+\.[^"]*)\"""")
ANY_KEY = re.compile(r"""(f?)"([a-z_]+\.[a-z_{][^"\s]*)\"""")


def keys_named(pattern: re.Pattern[str]) -> tuple[set[str], set[str]]:
    """(whole keys, beginnings of keys made by f-strings) that the code names."""
    whole: set[str] = set()
    beginnings: set[str] = set()
    for formatted, key in pattern.findall(SOURCE):
        if formatted and "{" in key:
            beginnings.add(key.split("{")[0])
        else:
            whole.add(key)
    return whole, beginnings


@pytest.mark.parametrize("language", languages()[1:])
def test_the_languages_have_the_same_texts_with_the_same_places(language: str) -> None:
    english, other = texts_of("en"), texts_of(language)
    assert sorted(english) == sorted(other)
    different = [key for key in english if places_of(english[key]) != places_of(other[key])]
    assert different == []


@pytest.mark.parametrize("language", languages())
def test_no_text_is_empty_or_has_a_dash_that_is_no_minus(language: str) -> None:
    texts = texts_of(language)
    assert [key for key, text in texts.items() if not text.strip()] == []
    assert [key for key, text in texts.items() if "\u2014" in text] == []


def test_every_text_that_is_asked_for_is_there() -> None:
    texts = texts_of("en")
    whole, beginnings = keys_named(CALL)
    assert whole, "the pattern finds no call"
    missing = [key for key in sorted(whole) if not {key, f"{key}_one", f"{key}_help"} & set(texts)]
    assert missing == []
    assert [start for start in sorted(beginnings) if not any(key.startswith(start) for key in texts)] == []
    assert [key for key in EXPLAINED.values() if f"{key}_help" not in texts] == []


def test_every_text_is_used() -> None:
    whole, beginnings = keys_named(ANY_KEY)
    explained = {f"{key}_help" for key in EXPLAINED.values()}
    sections = set(re.findall(r"""\.section\("([a-z_]+)"\)""", SOURCE))

    def is_used(key: str) -> bool:
        plain = re.sub(r"_(one|many|help)$", "", key)
        named = {key, plain} & whole or any(key.startswith(start) for start in beginnings if start.count("."))
        return bool(named or key in explained or key.split(".")[0] in sections)

    assert [key for key in texts_of("en") if not is_used(key)] == []


def test_a_text_that_is_not_there_is_a_mistake_in_the_program() -> None:
    with pytest.raises(KeyError):
        Words("en")("page.nonsense")
    assert Words("de")("page.close") == "Schließen"
    assert Words("en")("page.left", time="0:12") == "0:12 left"


async def built(session: Any) -> Any:
    """Inside a running event loop: outside of one, Gradio makes loops that nobody closes."""
    return build_app(session)


@pytest.mark.filterwarnings("ignore::Warning:gradio", "ignore::ResourceWarning")
def test_a_language_is_a_folder(session: Any, tmp_path: Path) -> None:
    own, ours = tmp_path / "xx", languages()
    shutil.copytree(LANGUAGES["de"], own)
    page = own / "page.toml"
    page.write_text(page.read_text(encoding="utf-8").replace('"Deutsch"', '"Xisch"'), encoding="utf-8")
    register_language(own)
    try:
        assert languages() == (*ours, "xx") and Words("xx")("page.language") == "Xisch"
        assert [next_language(code) for code in languages()] == [*ours[1:], "xx", ours[0]]
        with pytest.raises(BadName, match="The name 'xx' is taken by another language"):
            register_language(own)
        blocks = asyncio.run(built(session))
        assert [path for path, _, _ in blocks.pages] == ["", *ours[1:], "xx"]
        buttons = [block.value for block in blocks.blocks.values() if block.elem_id == "language"]
        assert buttons == [Words(next_language(code))("page.language") for code in languages()]
        assert "Xisch" in buttons
        session.quotas, session.downloads_dir = LOCAL, tmp_path
        options = launch_options(session, blocks, "127.0.0.1", Visitors(public=False))
        doors = options["app_kwargs"]["middleware"][1].kwargs["doors"]
        for path in ("/de", "/xx", "/xx/"):
            assert refused("GET", path, {"host": "127.0.0.1"}, doors) is None
        assert refused("GET", "/yy", {"host": "127.0.0.1"}, doors) is not None
    finally:
        LANGUAGES.remove("xx")
        texts_of.cache_clear()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("close = ", "nonsense = ", r"lacks text page\.close"),
        ("{time}", "{tme}", r"The text page\.\S+ of the language 'yy' has other places than the English one"),
        ("close = ", "closed = 'x'\nclose = ", r"has an unknown text page\.closed"),
    ],
)
def test_a_language_that_is_not_whole_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    own = tmp_path / "yy"
    shutil.copytree(LANGUAGES["de"], own)
    page = own / "page.toml"
    page.write_text(page.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadData, match=told):
        register_language(own)
    assert "yy" not in languages()
