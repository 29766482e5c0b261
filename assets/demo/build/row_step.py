"""Step rows: evaluation rows of both features, identity rows and neutral sets, as csv files of the build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from assets.demo.build.base_step import BASE, read_texts
from assets.demo.build.features import NUMBER, PRONOUN, Feature
from assets.demo.build.neutral import FILES, masked_tokens, neutral_sets
from assets.demo.build.number_rows import number_rows
from assets.demo.build.pronoun_rows import identity_rows, pronoun_rows
from assets.demo.build.steps import Place, Say
from assets.demo.build.vocabulary import plain_tokenizer

ROWS, IDENTITY = "rows", "identity"


def build_rows(place: Place, say: Say) -> dict[str, Any]:
    """Write the tables; gives how many rows and masked tokens there are."""
    texts, folder = read_texts(place), place.folder(ROWS)
    tokenizer = plain_tokenizer(place.work / BASE / "tokenizer.json")
    tables = {
        PRONOUN.name: pronoun_rows(texts.documents, texts.people, place.recipe),
        NUMBER.name: number_rows(texts.documents, place.recipe),
        IDENTITY: identity_rows(texts.documents, place.recipe),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
        say(f"{name}: {len(table)} rows")
    counted: dict[str, dict[str, int]] = {}
    for name, table in neutral_sets(texts.part(held_out=True), tokenizer, place.recipe).items():
        table.to_csv(folder / FILES[name], index=False)
        counted[name] = {"texts": len(table), "masked": sum(masked_tokens(text, tokenizer) for text in table["text"])}
        say(f"neutral set {name}: {counted[name]['texts']} texts, {counted[name]['masked']:,} masked tokens")
    counts = {name: count_rows(tables[name]) for name in (PRONOUN.name, NUMBER.name)}
    return {"rows": counts, "identity": len(tables[IDENTITY]), "neutral": counted}


def row_paths(place: Place) -> list[Path]:
    """The files of this step."""
    names = [f"{name}.csv" for name in (PRONOUN.name, NUMBER.name, IDENTITY)]
    return [place.work / ROWS / name for name in (*names, *FILES.values())]


def count_rows(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """{split: {class: rows}}."""
    counts: dict[str, dict[str, int]] = {}
    for (split, name), rows in table.groupby(["split", "label_class"]):
        counts.setdefault(str(split), {})[str(name)] = len(rows)
    return counts


def read_table(place: Place, name: str) -> pd.DataFrame:
    """A table of the rows step, by feature or `IDENTITY`."""
    return pd.read_csv(place.work / ROWS / f"{name}.csv")


def training_table(place: Place, feature: Feature) -> pd.DataFrame:
    """The feature's rows, with identity rows where it wants them."""
    rows = read_table(place, feature.name)
    return pd.concat([rows, read_table(place, IDENTITY)], ignore_index=True) if feature.with_identity else rows


def neutral_file(place: Place, name: str) -> Path:
    return place.work / ROWS / FILES[name]
