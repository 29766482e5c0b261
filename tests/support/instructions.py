"""Instructions of a walk-through page, read from its Markdown and followed to the letter in a browser.

Only sentences with one of these beginnings are followed; all others are for people:

    Press **label**.                     a button, a link or a fold with this name
    Type `text` into **label**.          a text field; the test may put another text in
    Choose **option** under **label**.   a radio button, a checkbox or an entry of a list
    Tick **label**.                      a checkbox
    You see **text**.                    the text is on the page; slow things are waited for
    You get the file **ending**.         the next press downloads a file whose name ends so
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PATTERNS = {
    "press": re.compile(r"Press \*\*(?P<label>[^*]+)\*\*"),
    "type": re.compile(r"Type `(?P<text>[^`]+)` into \*\*(?P<label>[^*]+)\*\*"),
    "choose": re.compile(r"Choose \*\*(?P<text>[^*]+)\*\* under \*\*(?P<label>[^*]+)\*\*"),
    "tick": re.compile(r"Tick \*\*(?P<label>[^*]+)\*\*"),
    "see": re.compile(r"You see \*\*(?P<label>[^*]+)\*\*"),
    "get": re.compile(r"You get the file \*\*(?P<label>[^*]+)\*\*"),
}
SLOW = 180_000


@dataclass(frozen=True)
class Instruction:
    """What a sentence asks for. text: what is typed or chosen."""

    deed: str
    label: str
    text: str = ""


def instructions_of(markdown: str) -> list[Instruction]:
    """All instructions of a page in reading order. Lines inside code blocks are passed over."""
    plain = re.sub(r"```.*?```", "", markdown, flags=re.S)
    plain = re.sub(r"\s*\n\s+(?=\S)", " ", plain)
    found = [
        (match.start(), Instruction(deed, match["label"], match.groupdict().get("text", "")))
        for deed, pattern in PATTERNS.items()
        for match in pattern.finditer(plain)
    ]
    return [instruction for _, instruction in sorted(found, key=lambda pair: pair[0])]


def follow(page: Page, instructions: list[Instruction], names: Mapping[str, str], downloads: Path) -> list[Path]:
    """Follow them; gives the downloaded files. A label that is not on the page fails with Playwright's sentence."""
    files: list[Path] = []
    for place, instruction in enumerate(instructions):
        following = instructions[place + 1] if place + 1 < len(instructions) else None
        if following is not None and following.deed == "get":
            with page.expect_download(timeout=SLOW) as download:
                _do(page, instruction, names)
            assert download.value.suggested_filename.endswith(following.label), download.value.suggested_filename
            files.append(downloads / download.value.suggested_filename)
            download.value.save_as(files[-1])
        elif instruction.deed != "get":
            _do(page, instruction, names)
    return files


def _do(page: Page, instruction: Instruction, names: Mapping[str, str]) -> None:
    from playwright.sync_api import expect

    text = instruction.text
    for name, value in names.items():
        text = text.replace(name, value)
    if instruction.deed == "press":
        _pressable(page, instruction.label).click()
    elif instruction.deed == "type":
        page.get_by_label(instruction.label).locator("visible=true").first.fill(text)
    elif instruction.deed == "choose":
        _choose(page, instruction.label, text)
    elif instruction.deed == "tick":
        page.get_by_label(instruction.label).locator("visible=true").first.check()
    elif instruction.deed == "see":
        expect(page.get_by_text(instruction.label).locator("visible=true").first).to_be_visible(timeout=SLOW)
    else:
        raise ValueError(f"nobody knows how to {instruction.deed}")


def _pressable(page: Page, label: str) -> Locator:
    """The first visible thing with this name that can be pressed."""
    buttons = page.get_by_role("button", name=label, exact=True)
    others = page.locator("summary, a, button", has_text=re.compile(rf"^\s*{re.escape(label)}\s*[◀▼]?\s*$"))
    return buttons.or_(others).locator("visible=true").first


def _choose(page: Page, label: str, option: str) -> None:
    group = page.get_by_role("group", name=label).or_(page.locator("fieldset, .block", has_text=label))
    radio = group.get_by_label(option, exact=True).locator("visible=true")
    if radio.count():
        radio.first.check()
        return
    page.get_by_label(label).locator("visible=true").first.click()
    page.get_by_role("option", name=option).first.click()
