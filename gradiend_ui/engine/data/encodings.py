"""From bytes to text: which encoding a table is in, and what had to be replaced.

A byte order mark decides, then UTF-16 and UTF-32 by their zero bytes, then UTF-8. Text that is UTF-8 but for a few
bytes is read as that, each of them told. What is left are code pages: charset-normalizer says which ones a sample of
the lines that tell them apart may be in, and how messy each would be; between those the odd characters decide. A person
may say the encoding instead. Knows bytes and text; no table.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from charset_normalizer import from_bytes

from gradiend_ui.engine.data.notes import Note
from gradiend_ui.engine.errors import BadData, Text, shown
from gradiend_ui.engine.files.text_limit import check_text

CHOICES = (
    "utf-8", "cp1252", "mac_roman", "utf-16", "cp1250", "iso8859_2", "cp1251", "koi8_r", "mac_cyrillic", "cp866",
    "cp1253", "cp1254", "cp1255", "cp1256", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp850", "latin-1",
)  # fmt: skip
"""What a person may say that a table is in, by Python's names, the usual ones first."""
CODE_PAGES = (
    "cp1252", "mac_roman", "cp1250", "iso8859_2", "cp1255", "cp1251", "koi8_r", "cp866", "mac_cyrillic", "iso8859_5",
    "cp1253", "cp1254", "cp1256", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp850",
)  # fmt: skip
"""What is tried where nothing is said, the likelier one first."""
SEVEN_BITS = "iso2022_jp"
"""Japanese in the bytes of ASCII, as letters are sent."""
SAMPLE_BYTES = 32 * 1024
"""So much of the lines with bytes above ASCII is looked at: some 20 ms, whatever the size of the file."""
LONGEST_LINE = 2048
SHOWN_BYTES = 3
REPLACED = "\ufffd"
USUAL = frozenset("äöüßÄÖÜéèêëàâáãåæçíìîïñóòôøúùûœÉÀÇÅØÆ„“”‚‘’–—…«»¿¡€°§´\u00a0")
LESS_USUAL = frozenset("ąćęłńśźżĄĆĘŁŃŚŹŻčďěňřšťůžČĎĚŇŘŠŤŮŽőűŐŰğışİĞŞșțăȘȚĂ")
MESSY = 0.5
"""charset-normalizer drops what it finds messier than this, in [0, 1]."""
_WITHIN = re.compile(r"(?:(?<=[\r\n])|\A)\ufeff+")
"""Byte order marks where a file begins, or began before it was put behind another one."""
_ABOVE_ASCII = re.compile(rb"[\x80-\xff]")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_KINDS: tuple[tuple[bytes, str, Text], ...] = (
    (b"PK\x03\x04", "a zip archive or an Excel file", ("data.kind_zip", {})),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", ("data.kind_office", {})),
    (b"%PDF", "a PDF", ("data.kind_pdf", {})),
    (b"\x89PNG", "a picture", ("data.kind_picture", {})),
    (b"\xff\xd8\xff", "a picture", ("data.kind_picture", {})),
    (b"\x1f\x8b", "a packed file (gzip)", ("data.kind_packed", {})),
    (b"PAR1", "a parquet file under another ending", ("data.kind_parquet", {})),
    (b"SQLite format", "a database", ("data.kind_database", {})),
)


@dataclass(frozen=True)
class Decoded:
    """text: without a byte order mark. encoding: Python's name. notes: what was replaced or only guessed."""

    text: str
    encoding: str
    notes: tuple[Note, ...] = ()


def decode(content: bytes, encoding: str | None = None) -> Decoded:
    """The text of a file. encoding: one of `CHOICES`, as a person says; None to find it out.

    Raises BadData for zero bytes that no encoding explains, for files of another kind and for an encoding that is not
    known; TooLarge where text is bounded and this is more.
    """
    other = next(((name, text) for start, name, text in _OTHER_KINDS if content.startswith(start)), None)
    if other is not None:
        told = BadData(f"it is {other[0]}, not a table: save the table as csv in UTF-8.")
        raise told.known_as("data.other_kind", kind=other[1])
    if encoding is not None and encoding not in CHOICES:
        odd = BadData(f"encoding must be one of {', '.join(CHOICES)}, not {shown(encoding)}.")
        raise odd.known_as("data.no_encoding", given=shown(encoding), known=", ".join(CHOICES))
    found = _found(content) if encoding is None else _as_told(content, encoding)
    if "\x00" in found.text:
        told = BadData("it holds zero bytes, so it is no text: save it as csv in UTF-8.")
        raise told.known_as("data.zero_bytes")
    check_text(len(found.text))
    return Decoded(_WITHIN.sub("", found.text), found.encoding, found.notes)


def _found(content: bytes) -> Decoded:
    stated = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), None) or _wide(content)
    if stated == "utf-8-sig":
        bare = content.removeprefix(codecs.BOM_UTF8)
        plain = _nearly_utf_8(bare) or _in_a_code_page(bare)
        return replace(plain, encoding=stated) if plain.encoding == "utf-8" else plain
    if b"\x1b$" in content and content.isascii() and _can_be(content, SEVEN_BITS):
        return Decoded(content.decode(SEVEN_BITS), SEVEN_BITS, (_guessed(SEVEN_BITS),))
    if stated is not None:
        try:
            return Decoded(content.decode(stated), stated)
        except UnicodeDecodeError as error:
            told = BadData(f"it begins as {stated} text and breaks off at byte {error.start:,}.")
            raise told.known_as("data.breaks_off", encoding=stated, place=f"{error.start:,}") from error
    return _nearly_utf_8(content) or _in_a_code_page(content)


def _as_told(content: bytes, encoding: str) -> Decoded:
    """The text in this encoding, what does not fit it replaced and told."""
    try:
        return Decoded(content.decode(encoding), encoding)
    except UnicodeDecodeError:
        text = content.decode(encoding, "replace")
        return Decoded(text, encoding, (_replaced(content, encoding, max(1, text.count(REPLACED))),))


def _nearly_utf_8(content: bytes) -> Decoded | None:
    """UTF-8, also with bytes that are none, where at least as many characters beyond ASCII are right: text of a code
    page is UTF-8 by chance in hardly any place."""
    text = content.decode("utf-8", "replace")
    bad = text.count(REPLACED) - content.count(REPLACED.encode())
    if not bad:
        return Decoded(text, "utf-8")
    right = len(text) - len(text.encode("ascii", "ignore")) - bad
    return Decoded(text, "utf-8", (_replaced(content, "utf-8", bad),)) if right >= bad else None


def _replaced(content: bytes, encoding: str, count: int) -> Note:
    """Which bytes do not fit, the first of them with their lines."""
    told = ", ".join(f"{line:,} (0x{content[place]:02X})" for place, line in _misfits(content, encoding))
    places, name = f"{told}, …" if count > SHOWN_BYTES else told, encoding_name(encoding)
    what = f"One byte is no {name}: line {places}" if count == 1 else f"{count:,} bytes are no {name}: lines {places}"
    sentence = f"{what}. {REPLACED} stands there instead. Save the table again in UTF-8, or say its encoding."
    key = "data.bytes_replaced_one" if count == 1 else "data.bytes_replaced_many"
    return Note(sentence, (key, {"count": f"{count:,}", "places": places, "encoding": name}))


def _misfits(content: bytes, encoding: str) -> Iterator[tuple[int, int]]:
    """(place, line from 1) of the first bytes that are none of the encoding."""
    whole, begin, line = memoryview(content), 0, 1
    for _ in range(SHOWN_BYTES):
        try:
            str(whole[begin:], encoding)
        except UnicodeDecodeError as error:
            place = begin + error.start
            line += content.count(b"\n", begin, place)
            yield place, line
            begin += error.end
        else:
            return


def _wide(content: bytes) -> str | None:
    """UTF-16 or UTF-32 without a byte order mark: many bytes of what Western text and every line end are made of are
    zero there, always in the same places."""
    start = content[:4096]
    quarters = [start[place::4].count(0) for place in range(4)]
    groups = len(start) // 4
    for name, full in (("utf-32-le", 0), ("utf-32-be", 3)):
        others = [count for place, count in enumerate(quarters) if place != full]
        if groups and min(others) > 0.4 * groups and quarters[full] < 0.05 * groups and _can_be(content, name):
            return name
    pairs, zeros = len(start) // 2, (start[0::2].count(0), start[1::2].count(0))
    for name, full, line_end in (("utf-16-le", 0, b"\n\x00"), ("utf-16-be", 1, b"\x00\n")):
        most = zeros[1 - full] > 0.4 * pairs
        lined = zeros[1 - full] > 0.1 * pairs and start.find(line_end) % 2 == 0 and _can_be(content, name)
        if pairs and zeros[full] < 0.05 * pairs and (most or lined):
            return name
    return None


def _can_be(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _in_a_code_page(content: bytes) -> Decoded:
    for name in _likely(_telling(content)):
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        return Decoded(text, name, (_guessed(name),))
    return _as_told(content, "cp1252")


def _guessed(encoding: str) -> Note:
    told = encoding_name(encoding)
    sentence = f"The file does not say its encoding: {told} fits best. Say another one where letters look wrong."
    return Note(sentence, ("data.encoding_guessed", {"encoding": told}))


def _telling(content: bytes) -> bytes:
    """Lines with bytes above ASCII, each once, the first and those further on, as many as are looked at."""
    found: dict[bytes, None] = {}
    for line in content.split(b"\n"):
        if not line.isascii():
            found[_around_letters(line)] = None
    lines = list(found)
    step = -(-sum(map(len, lines)) // SAMPLE_BYTES)
    sample = b"\n".join(lines[:: max(1, step)])
    return sample if len(sample) <= SAMPLE_BYTES else sample[:SAMPLE_BYTES].rpartition(b"\n")[0]


def _around_letters(line: bytes) -> bytes:
    """The line, or of a long one the part with its first byte above ASCII."""
    if len(line) <= LONGEST_LINE:
        return line
    first = _ABOVE_ASCII.search(line)
    begin = max(0, first.start() - LONGEST_LINE // 2) if first else 0
    return line[begin : begin + LONGEST_LINE]


def _likely(sample: bytes) -> list[str]:
    """The code pages that the sample may be in, the likeliest first."""
    found = from_bytes(
        sample, cp_isolation=list(CODE_PAGES), threshold=MESSY, preemptive_behaviour=False, enable_fallback=False
    )
    rated: dict[str, float] = {}
    for match in found:
        names = {match.encoding, *match.could_be_from_charset}
        name = next((page for page in CODE_PAGES if page in names), None)
        if name is not None:
            rated[name] = round(_odd(sample.decode(name, "ignore")) + match.chaos - 0.1 * match.coherence, 2)
    return sorted(rated, key=lambda name: (rated[name], CODE_PAGES.index(name)))


def _odd(text: str) -> float:
    """How odd the characters beyond ASCII look, from 0: letters of another script within a Latin word, capitals after
    small letters, such a letter with nothing behind it, signs within words, and what hardly any text holds."""
    hangul = any("가" <= character <= "힣" for character in text)
    places = [place for place, character in enumerate(text) if character >= "\x80"]
    kana = sum("ぁ" <= text[place] <= "ん" for place in places)
    points = sum(
        _points(text[place - 1 : place] or " ", text[place], text[place + 1 : place + 2] or " ", hangul)
        for place in places
    )
    return points / max(1, len(places)) - (0.1 if kana > 0.2 * len(places) else 0.0)


def _points(before: str, character: str, after: str, hangul: bool) -> float:
    """For one character between two others, from 0 to 1."""
    if unicodedata.category(character) in ("Cc", "Co", "Cn") or "｡" <= character <= "ﾟ" or "─" <= character <= "▟":
        return 1.0
    if not character.isalpha():
        within = before.isalpha() and after.isalpha() and character not in "’‘·\u00ad"
        wide = "\u3000" <= character <= "〿" or "\uff00" <= character <= "｠"
        return 1.0 if within else 0.0 if character in USUAL or wide else 0.3
    is_latin = "LATIN" in unicodedata.name(character, "")
    if not is_latin and any(other.isascii() and other.isalpha() for other in (before, after)):
        return 1.0
    if character.isupper() and before.islower():
        return 1.0
    if character.isupper() and before.isupper() and after.islower():
        return 0.7
    if is_latin and character.isupper() and not after.isalpha() and not before.isupper():
        return 0.1
    if is_latin:
        return 0.0 if character in USUAL else 0.08 if character in LESS_USUAL else 0.25
    return 0.3 if hangul and unicodedata.name(character, "").startswith("CJK") else 0.0


_NAMES = {
    "utf-8-sig": "UTF-8", "cp1252": "Windows-1252", "latin-1": "Latin-1", "mac_roman": "Mac Roman",
    "mac_cyrillic": "Mac Cyrillic", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1253": "Windows-1253",
    "cp1254": "Windows-1254", "cp1255": "Windows-1255", "cp1256": "Windows-1256", "iso8859_2": "ISO 8859-2",
    "iso8859_5": "ISO 8859-5", "koi8_r": "KOI8-R", "cp866": "DOS 866", "cp850": "DOS 850", "gb18030": "GB 18030",
    "big5": "Big5", "cp932": "Shift JIS", "euc_jp": "EUC-JP", "cp949": "EUC-KR",
    SEVEN_BITS: "ISO-2022-JP",
}  # fmt: skip


def encoding_name(encoding: str) -> str:
    """As people call it: "cp1252" is Windows-1252."""
    return _NAMES.get(encoding, encoding.upper())
