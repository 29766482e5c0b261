"""Every text of the page in each language: `words("sweep.start")`, with values `words("sweep.cells", count=32)`.

The texts are in `language/<code>/<section>.toml`, one file per step; a key is `section.name`. A folder is a language:
`register_language` takes one from anywhere. `<name>_help` is the sentence that one hover away tells what a number
means, its range and its direction. Of the engine's refusals those that the ordinary use of a page meets have a text
here, too; the others are English in every language. Its warnings have one each (`kit/remarks.py`). Knows no widget.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from gradiend_ui.engine.errors import BadData, GradiendUIError
from gradiend_ui.engine.registry import Labels, Registry, label_of

FIRST_LANGUAGE = "en"
"""Of the page at `/`; the others have its texts, each with the same {places}."""
LANGUAGES: Registry[Path] = Registry("language")


class Words:
    """One language's texts. Raises KeyError for a key that is not in its files: a mistake in the program."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = texts_of(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of `section.name`, its {places} filled in."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def of(self, error: GradiendUIError) -> str:
        """The sentence of a refusal: in this language where it has a text, else as scripts read it."""
        if error.text is None:
            return str(error)
        return str(self.told(error.text))

    def told(self, part: object) -> object:
        """A text with the texts among its values; of any other value itself. One that came as JSON is a list."""
        if not isinstance(part, (tuple, list)):
            return part
        key, values = part
        return self(key, **{name: self.told(value) for name, value in values.items()})

    def given(self, key: str, labels: Labels) -> str:
        """The text of `key`; of what was registered from outside and has none here, its own label."""
        return self._texts[key] if key in self._texts else label_of(labels, self.language)

    def again(self, sentence: str, keys: Sequence[str]) -> str:
        """A sentence that is kept in English, in this language if it is one of these texts; any other one itself."""
        for key in keys:
            found = _pattern_of(key).fullmatch(sentence)
            if found is not None:
                return self(key, **found.groupdict())
        return sentence

    def help(self, key: str) -> str:
        """What one hover tells about `key`."""
        return self._texts[f"{key}_help"]

    def section(self, name: str) -> dict[str, str]:
        """All texts of one section by their short names, for a component's script."""
        start = f"{name}."
        return {key.removeprefix(start): text for key, text in self._texts.items() if key.startswith(start)}

    def counted(self, key: str, count: int, **values: object) -> str:
        """`<key>_one` for a single thing, `<key>_many` for any other number; {count} is filled in."""
        return self(f"{key}_one" if count == 1 else f"{key}_many", count=count, **values)


@cache
def _pattern_of(key: str) -> re.Pattern[str]:
    """Finds the English text, whatever stands at its {places}."""
    parts = string.Formatter().parse(texts_of(FIRST_LANGUAGE)[key])
    return re.compile("".join(re.escape(text) + (f"(?P<{name}>.+)" if name else "") for text, name, _, _ in parts))


def languages() -> tuple[str, ...]:
    """The codes of all languages, the page's at `/` first."""
    return tuple(LANGUAGES)


def next_language(language: str) -> str:
    """The one that a page leads on to: each leads to another, and the last to the first."""
    codes = languages()
    return codes[(codes.index(language) + 1) % len(codes)]


def address_of(language: str) -> str:
    """Where its page is below the server's address."""
    return "" if language == FIRST_LANGUAGE else language


def register_language(folder: Path) -> None:
    """Offer the page in one more language: `folder` is called by its code and holds what `language/en` holds.

    Raises BadName for a code that is taken, BadData for a text that is missing, unknown, or has other {places}.
    """
    found, english = _read(folder), texts_of(FIRST_LANGUAGE)
    for key in sorted({*found, *english}):
        if key not in found or key not in english:
            raise BadData(f"The language {folder.name!r} {'lacks' if key in english else 'has an unknown'} text {key}.")
        if places_of(found[key]) != places_of(english[key]):
            raise BadData(f"The text {key} of the language {folder.name!r} has other places than the English one.")
    LANGUAGES.add(folder.name, folder)


def places_of(text: str) -> list[str]:
    """The names of the {places} of a text."""
    return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name})


@cache
def texts_of(language: str) -> dict[str, str]:
    """{section.name: text} of a language."""
    return _read(LANGUAGES[language])


def _read(folder: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml")):
        with path.open("rb") as file:
            texts |= {f"{path.stem}.{name}": text for name, text in tomllib.load(file).items()}
    return texts


for _folder in sorted(Path(__file__).with_name("language").iterdir(), key=lambda folder: folder.name != FIRST_LANGUAGE):
    LANGUAGES.add(_folder.name, _folder)
