"""Step Load in a real browser: a run folder that lacks its base, a zip of it, what was assumed corrected."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SLOW = 60_000
ROWS = 24


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, demo: Path) -> Path:
    """The demo as a run of another machine: two seeds, no model/, no tables, no directions, its base elsewhere."""
    folder = tmp_path_factory.mktemp("runs") / "pronouns"
    reports = []
    for seed, correlation in ((3, 0.42), (7, 0.998)):
        place = folder / "seeds" / f"seed_{seed}"
        shutil.copytree(demo / "gradiend", place)
        config = json.loads((place / "config.json").read_text())
        config["metadata"]["base_model"] = "/home/someone/models/tiny-bert"
        (place / "config.json").write_text(json.dumps(config))
        (place / "gradiend_context.json").write_text(json.dumps({"source": "alternative", "target": "diff"}))
        reports.append(
            {"seed": seed, "output_dir": str(place), "eval_correlation": correlation, "converged": seed == 7}
        )
    (folder / "seeds" / "seed_report.json").write_text(json.dumps({"runs": reports, "best_seed": 7}))
    encoded_values(demo / "eval.csv").to_csv(folder / "encoded_values.csv", index=False)
    return folder


def encoded_values(table: Path) -> pd.DataFrame:
    """Rows as the reference leaves them beside a run that was trained on the other class's words."""
    rows = pd.read_csv(table).query("split == 'test'").groupby("label_class").head(ROWS // 2)
    return pd.DataFrame(
        {
            "type": "training",
            "template": rows["masked"],
            "factual_token": rows["label"],
            "alternative_token": rows["alternative"],
            "source_token": rows["alternative"],
            "source_id": rows["alternative_class"],
            "target_id": rows["alternative_class"],
            "data_split": "test",
        }
    )


def card(page: Page) -> Locator:
    return page.locator("#health")


def fact(page: Page, name: str) -> Locator:
    """What the card says about `name`."""
    return card(page).locator(f".facts > div:has(dt:text-is('{name}')) dd")


def ready(page: Page) -> None:
    expect(page.locator("#start")).to_be_enabled(timeout=SLOW)


def open_folder(page: Page, folder: Path) -> None:
    ready(page)
    page.locator("#load-more button.label-wrap").click()
    page.locator("#source input, #source textarea").fill(str(folder))
    page.click("#load")


def test_a_run_of_another_machine_is_asked_for_what_is_missing(watched: Page, run_folder: Path, demo: Path) -> None:
    page = watched
    open_folder(page, run_folder)
    question = page.locator("#load-question")
    expect(question).to_contain_text("Where is the base model?", timeout=SLOW)
    expect(question).to_contain_text("tiny-bert")
    expect(card(page)).to_contain_text("demo")
    field = page.locator("#ask-base input, #ask-base textarea")
    field.fill(str(demo / "gradiend"))
    page.click("#ask-go")
    expect(question).to_contain_text("gradiend", timeout=SLOW)
    expect(field).to_have_value(str(demo / "gradiend"))
    expect(page.locator("#source input, #source textarea")).to_have_value(str(run_folder))
    field.fill(str(demo / "base"))
    page.keyboard.press("Enter")

    expect(card(page).locator("h2")).to_contain_text("pronouns", timeout=SLOW)
    expect(question).to_be_hidden()
    expect(fact(page, "rows")).to_have_text(f"{ROWS} recovered from the run")
    expect(fact(page, "memory")).to_contain_text(re.compile(r"\d MB of .* free"))
    expect(fact(page, "seeds").locator("li").first).to_contain_text("3: 0.420, not converged")
    expect(fact(page, "seeds").locator("li").last).to_contain_text("7: 0.998, best, open")
    expect(fact(page, "directions")).to_contain_text("feature factor −1 pushes towards F")

    assumed = page.locator("#assumed")
    assumed.locator("summary").click()
    for sentence in (
        "training.json",
        "best seed, 7",
        "given by hand: base",
        f"{ROWS} evaluation rows",
        "no neutral texts",
    ):
        expect(assumed).to_contain_text(sentence)
    assumed.locator("[data-pick=swap]").first.click()
    expect(fact(page, "directions")).to_contain_text("feature factor −1 pushes towards M", timeout=SLOW)
    expect(assumed).to_contain_text("directions were given by hand")

    assumed.locator("[data-pick=directions]").click()
    signs = page.locator("#ask-signs .sign-row", has_text="F").locator("button")
    signs.nth(2).click()
    expect(signs.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#ask-signs .sign-row", has_text="M").locator("button").first).to_have_attribute(
        "aria-pressed", "true"
    )
    page.click("#ask-go")
    expect(fact(page, "directions")).to_contain_text("feature factor −1 pushes towards F", timeout=SLOW)

    fact(page, "seeds").locator("button").click()
    expect(card(page).locator("h2")).to_contain_text("pronouns, seed 3", timeout=SLOW)
    assumed.locator("[data-pick=data]").first.click()
    expect(page.locator("#drawer-data")).to_be_visible()


def test_a_zip_is_opened_with_the_base_in_it_and_a_bad_one_changes_nothing(
    watched: Page, run_folder: Path, demo: Path, tmp_path: Path
) -> None:
    page = watched
    ready(page)
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("../outside.json", "{}")
    whole = tmp_path / "my upload.zip"
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, below in ((run_folder, "run"), (demo / "base", "run/base")):
            for path in sorted(item for item in folder.rglob("*") if item.is_file()):
                archive.write(path, f"{below}/{path.relative_to(folder).as_posix()}")
    page.locator("#load-more button.label-wrap").click()
    upload = page.locator("#load-more input[type=file]")
    upload.set_input_files(bad)
    note = page.locator("#load-note")
    expect(note).to_contain_text("Not opened. The zip holds the entry '../outside.json'", timeout=SLOW)
    expect(note).to_contain_text("still open")
    expect(card(page).locator("h2")).to_contain_text("demo")
    upload.set_input_files(whole)
    expect(card(page).locator("h2")).to_contain_text("upload", timeout=SLOW)
    expect(note).not_to_contain_text("Not opened")
    expect(page.locator("#assumed")).to_contain_text("the folder “base” beside the GRADIEND")
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_function("document.documentElement.scrollWidth <= 360")


def test_a_wrong_folder_is_told_with_the_nearest_one(watched: Page, run_folder: Path) -> None:
    open_folder(watched, run_folder.with_name("pronuns"))
    note = watched.locator("#load-note")
    expect(note).to_contain_text(f"did you mean '{run_folder}'?", timeout=SLOW)
    expect(card(watched).locator("h2")).to_contain_text("demo")
    expect(watched.locator("#start")).to_be_enabled()


def test_two_demos_stand_on_one_base(watched: Page) -> None:
    page = watched
    ready(page)
    base = fact(page, "base").text_content()
    page.locator("#load-more button.label-wrap").click()
    page.click("#load-other-demo")
    expect(card(page).locator("h2")).to_contain_text("demo-number", timeout=SLOW)
    expect(fact(page, "directions")).to_contain_text("PL")
    assert fact(page, "base").text_content() == base
    expect(page.locator("#answers .tokens").first).to_contain_text("they", timeout=SLOW)
    expect(page.locator("#target-class")).to_contain_text("PL")
    page.locator("#load-more button.label-wrap").click()
    page.click("#load-demo")
    expect(fact(page, "directions")).to_contain_text("pushes towards F", timeout=SLOW)
