"""German nominative sentences with a masked article: der, die or das, by the gender of the noun.

Our own sentences, put together from short lists; no draw, so every session sees the same ones. Knows nothing of models.
"""

from __future__ import annotations

import pandas as pd

ARTICLES = {"masc_nom": "der", "fem_nom": "die", "neut_nom": "das"}
NOUNS = {
    "masc_nom": ["Hund", "Vogel", "Lehrer", "Bruder", "Koch", "Nachbar", "Fuchs", "Junge"],
    "fem_nom": ["Katze", "Ente", "Lehrerin", "Schwester", "Frau", "Nachbarin", "Maus", "Tante"],
    "neut_nom": ["Kind", "Pferd", "Schaf", "Mädchen", "Huhn", "Kalb", "Baby", "Reh"],
}
SENTENCES = [
    "[MASK] {noun} schläft unter dem Tisch.",
    "Heute wartet [MASK] {noun} vor der Tür.",
    "[MASK] {noun} sitzt am Fenster und schaut hinaus.",
    "Am Abend kommt [MASK] {noun} nach Hause.",
    "[MASK] {noun} hat großen Hunger.",
    "Im Garten spielt [MASK] {noun} mit einem Ball.",
    "[MASK] {noun} läuft langsam über die Straße.",
    "Seit gestern ist [MASK] {noun} sehr müde.",
]
SPLITS = ("train", "train", "train", "validation", "test", "train", "test", "train")


def build_class_frames() -> dict[str, pd.DataFrame]:
    """A frame per class with the columns masked, <class> (its article) and split: 64 sentences, 40 / 8 / 16."""
    return {name: _class_frame(name) for name in ARTICLES}


def build_frame(classes: tuple[str, ...] = ("masc_nom", "fem_nom", "neut_nom")) -> pd.DataFrame:
    """One frame with a row per sentence and other class: masked, label, label_class, alternative, alternative_class,
    split."""
    parts = []
    for own in classes:
        for other in classes:
            if own != other:
                frame = _class_frame(own).rename(columns={own: "label"})
                parts.append(
                    frame.assign(label_class=own, alternative=_like(own, other, frame), alternative_class=other)
                )
    return pd.concat(parts, ignore_index=True)


def _class_frame(name: str) -> pd.DataFrame:
    rows = []
    for place, sentence in enumerate(SENTENCES):
        for turn, noun in enumerate(NOUNS[name]):
            article = ARTICLES[name].title() if sentence.startswith("[MASK]") else ARTICLES[name]
            split = SPLITS[(place + turn) % len(SPLITS)]
            rows.append({"masked": sentence.format(noun=noun), name: article, "split": split})
    return pd.DataFrame(rows)


def _like(own: str, other: str, frame: pd.DataFrame) -> list[str]:
    """The other class's article, with a capital where the row's own has one."""
    return [ARTICLES[other].title() if label.istitle() else ARTICLES[other] for label in frame["label"]]
