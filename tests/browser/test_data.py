"""Own data on the page: a strange csv pasted, corrected, its bad rows downloaded, words and set changed, swept."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import demo_facts
from tests.support.cases import case

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SWEEP_SECONDS = 120_000
SLOW = 30_000
MAC_TEXTS = ("Die Müllerin weiß es.\nDer Bäcker schläft schön.\nThe sun is up and the day is long.\n" * 4).encode(
    "mac_roman"
)
HEAD = "Satz;Wort;Sorte;Wie oft;Gegenwort;Gegensorte\n"
GOOD = "the {} said, that [MASK] was tired.;{};{};{};{};{}\n"
BAD = "=no mask, no score;he;M;9;she;F\nthe boy said that [MASK] slept.;;M;9;she;F\n"


def pasted() -> str:
    """24 rows that can be scored and two that cannot; semicolons between the cells, commas in the texts."""
    people = ("nurse", "doctor", "cook", "baker", "teacher", "farmer")
    sides = (("she", "F", "he", "M"), ("he", "M", "she", "F"))
    rows = [GOOD.format(who, a, b, n, c, d) for n in "12" for who in people for a, b, c, d in sides]
    return HEAD + "".join(rows) + BAD


def choose(page: Page, widget: str, option: str) -> None:
    page.locator(f"#{widget} input").click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(page.get_by_role("option")).to_have_count(0, timeout=SLOW)  # the list fades out


def test_own_rows_are_read_corrected_and_swept(watched: Page) -> None:
    page = watched
    rows, width = demo_facts.row_count("test"), demo_facts.neutral()["hits"] / 100
    told = f"test: {rows} of {demo_facts.row_count()} rows, M, F"
    expect(page.locator("#data-summary")).to_contain_text(told, timeout=60_000)
    page.locator("#change-data").click()
    expect(page.locator("#data-measured .width")).to_contain_text(f"0.99 is {width:.3g} tokens here", timeout=SLOW)

    page.get_by_role("button", name="Or paste rows").click()
    page.locator("#data-paste textarea").fill(pasted())
    page.locator("#data-read").click()
    reading = page.locator("#data-reading")
    expect(reading).to_contain_text("separated by semicolons, 6 columns, 26 rows", timeout=SLOW)
    expect(reading).to_contain_text("24 rows can be scored, 2 cannot.")
    expect(page.locator("#data-first tbody tr")).to_have_count(5)
    expect(page.locator("#data-first thead")).to_contain_text("Satz")

    choose(page, "data-column-label-class", "Wie oft")
    expect(reading.get_by_role("alert")).to_contain_text("is no class of the checkpoint", timeout=SLOW)
    choose(page, "data-column-label-class", "Sorte")
    choose(page, "data-column-alternative", "no column")
    expect(reading).to_contain_text("the only word of the other class (F: she, M: he)", timeout=SLOW)

    expect(page.locator("#data-rejected tbody tr")).to_have_count(2)
    with page.expect_download() as download:
        page.locator("#data-download").click()
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["row"], first["reason"]) == ("25", "it has 0 times [MASK] instead of once")
    assert first["Satz"] == "'=no mask, no score" and second["reason"] == "its label is empty"

    chips = page.locator("#data-chips")
    choose(page, "data-word-class", "F")
    page.get_by_label("New word").fill("her")
    page.keyboard.press("Enter")
    expect(chips.get_by_role("button", name="remove her from F")).to_be_visible(timeout=SLOW)
    expect(chips.locator(".target-chip", has_text="her").last).to_contain_text(re.compile(r"her\s*\d+"))
    chips.get_by_role("button", name="remove he from M").click()
    expect(page.get_by_text("A class needs at least one word")).to_be_visible(timeout=SLOW)

    page.locator("#data-sets .pick").first.click()
    expect(page.locator("#data-measured .width")).to_contain_text(
        f"0.99 is {demo_facts.neutral(demo_facts.GENDER_FREE)['hits'] / 100:.3g}", timeout=SLOW
    )
    expect(page.locator("#neutral-set input")).to_have_value(re.compile("gender-free"))
    page.locator("#data-max-neutral input").fill("40")
    expect(page.locator("#data-time")).to_contain_text("24 rows and 40 texts: about", timeout=SLOW)

    page.keyboard.press("Escape")
    expect(page.locator("#drawer-data")).to_be_hidden()
    expect(page.locator("#data-summary")).to_contain_text("own rows pasted rows: test 24 of 24")
    expect(page.locator("#data-summary")).to_contain_text("own words M: he · F: she, her")
    page.get_by_role("radio", name="typed").check(force=True)
    page.locator("#typed-rates :is(input, textarea)").fill("0.1")
    expect(page.locator("#estimate")).to_contain_text("2 cells", timeout=SLOW)
    page.locator("#start").click()
    expect(page.locator("#run-chip .chip")).to_contain_text("finished", timeout=SWEEP_SECONDS)

    page.reload()
    expect(page.locator("#run-chip .chip")).to_contain_text("finished", timeout=60_000)
    expect(page.locator("#data-summary")).to_contain_text("own rows pasted rows: test 24 of 24")
    expect(page.locator("#data-summary")).to_contain_text("own words M: he · F: she, her")


def test_classes_that_are_not_known_are_told_and_mapped(watched: Page) -> None:
    """Load, Data and the drawer say the same, before and after."""
    page, summary = watched, "own rows class_case.csv: test {0} of {0}, M, F"
    expect(page.locator("#start")).to_be_enabled(timeout=60_000)
    page.click("#change-data")
    page.locator('input[type="file"]:has(+ #data-upload)').set_input_files(case("class_case.csv"))
    reading, unknown = page.locator("#data-reading"), page.locator("#data-unknown")
    expect(reading).to_contain_text("16 rows can be scored, 16 cannot.", timeout=SLOW)
    expect(reading).to_contain_text("Left out: 16 rows of unknown classes.")
    expect(unknown).to_contain_text("f (16 rows), m (16 rows)")
    expect(page.locator("#data-summary")).to_contain_text(f"{summary.format(16)} · 16 rows left out", timeout=SLOW)
    expect(page.get_by_label("m (16 rows) counts as")).to_have_value("M")

    page.click("#data-count-as-use")
    expect(reading).to_contain_text("32 rows can be scored, 0 cannot.", timeout=SLOW)
    expect(unknown).not_to_contain_text("does not know")
    expect(page.locator("#data-summary")).to_contain_text(summary.format(32), timeout=SLOW)
    choose(page, "data-count-as-0", "leave out")
    page.click("#data-count-as-use")
    expect(reading).to_contain_text("Left out: 16 rows of classes that are left out by choice.", timeout=SLOW)


def test_many_unknown_classes_are_mapped_in_german_and_no_request_fails(watched: Page, server: str) -> None:
    """Also after rows that cannot be used, which have another split than those before and after them."""
    page = watched
    failed: list[str] = []
    page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
    page.goto(f"{server}de")
    expect(page.locator("#start")).to_be_enabled(timeout=60_000)
    page.click("#change-data")
    upload, reading = page.locator('input[type="file"]:has(+ #data-upload)'), page.locator("#data-reading")
    head, row = "masked;label;label_class;alternative;alternative_class\n", "[MASK] slept.;he;{};she;F\n"
    tables = {"empty.csv": head, "many.csv": head + row.format("M") + "".join(row.format(f"c{n}") for n in range(41))}
    for name, told in (
        ("empty.csv", "Es gibt keine Zeile zu messen"),
        ("many.csv", "1 Zeile ist verwendbar, 41 nicht."),
    ):
        upload.set_input_files({"name": name, "mimeType": "text/csv", "buffer": tables[name].encode()})
        expect(reading).to_contain_text(told, timeout=SLOW)
    expect(page.locator("#data-summary")).to_contain_text("many.csv: test 1 von 1, M, F", timeout=SLOW)
    expect(page.locator("#data-rejected tbody tr").first).to_contain_text("die Klasse 'c0' ist keine Klasse")
    expect(page.locator("#data-unknown")).to_contain_text("c5 (1 Zeile) und 35 weitere.")
    expect(page.locator("#data-count-as input")).to_have_count(40)
    choose(page, "data-count-as-39", "M")
    page.click("#data-count-as-use")
    expect(reading).to_contain_text("2 Zeilen sind verwendbar, 40 nicht.", timeout=SLOW)
    expect(page.get_by_label("c40 (1 Zeile) zählt als")).to_have_value("nicht gewählt", timeout=SLOW)
    expect(page.locator("#data-summary")).to_contain_text("many.csv: test 2 von 2, M, F", timeout=SLOW)
    assert failed == []


def test_an_encoding_is_told_shown_and_corrected_and_an_error_told_once(watched: Page) -> None:
    page = watched
    expect(page.locator("#start")).to_be_enabled(timeout=60_000)
    page.click("#change-data")
    upload, reading = page.locator('input[type="file"]:has(+ #data-upload)'), page.locator("#data-reading")
    upload.set_input_files(case("macroman.csv"))
    expect(reading).to_contain_text("Mac Roman fits best", timeout=SLOW)
    expect(reading.locator(".samples")).to_contain_text("my Müller said that [MASK] was late. · schön")
    choose(page, "data-encoding", "Windows-1252")
    expect(reading.locator(".samples")).to_contain_text("schšn", timeout=SLOW)
    upload.set_input_files(case("utf8_one_bad_byte.csv"))
    expect(reading).to_contain_text("One byte is no UTF-8: line 18 (0xE9).", timeout=SLOW)

    upload.set_input_files(case("nested.jsonl"))
    expect(reading.get_by_role("alert")).to_contain_text("row 1: its word is a list or an object", timeout=SLOW)
    expect(page.locator("#data-chips")).to_contain_text("Told once the rows can be used.", timeout=SLOW)
    expect(page.locator("#data-measured")).to_contain_text("Told once the rows can be used.", timeout=SLOW)
    expect(page.get_by_text("None of the 1 rows can be scored")).to_have_count(1)
    expect(page.locator("#data-summary")).to_contain_text("nested.jsonl cannot be used yet.")

    texts = page.locator('input[type="file"]:has(+ #data-upload-texts)')
    page.click("#data-back")
    expect(reading).to_contain_text("In use: the rows that lie beside the checkpoint.", timeout=SLOW)
    texts.set_input_files({"name": "mac.txt", "mimeType": "text/plain", "buffer": MAC_TEXTS})
    measured = page.locator("#data-measured")
    expect(measured).to_contain_text("Die Müllerin weiß es.", timeout=SLOW)
    choose(page, "texts-encoding", "Windows-1252")
    expect(measured).to_contain_text("MŸllerin", timeout=SLOW)


def test_a_file_of_the_wrong_kind_is_refused_in_the_pages_words(
    context: BrowserContext, server: str, tmp_path: Path
) -> None:
    """Gradio's page would tell it in English, and the file's name as markup; the browser offers the right kinds."""
    odd = tmp_path / "<img src=x onerror=\"document.title='run'\">.exe"
    odd.write_bytes(b"x")
    page = context.new_page()
    page.goto(f"{server}de")
    expect(page.locator("#start")).to_be_enabled(timeout=60_000)
    page.locator("#load-more > button").click()
    for button in ("load-zip", "data-upload", "data-upload-texts"):
        if button == "data-upload":
            page.click("#change-data")
        field = page.locator(f'input[type="file"]:has(+ #{button})')
        kinds = r"^\.zip$" if button == "load-zip" else r"^\.csv,.*\.parquet$"
        expect(field).to_have_attribute("accept", re.compile(kinds))
        field.set_input_files(odd)
        toast = page.locator(".toast-body")
        expect(toast).to_have_count(1)
        expect(toast).to_contain_text("ist keine Datei, wie sie hier gelesen wird")
        assert "Invalid" not in toast.inner_text() and toast.locator("img").count() == 0
        assert page.title() == "GRADIEND"
        page.locator(".toast-close").click()
        expect(toast).to_have_count(0)
