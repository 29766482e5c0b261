"""The made-up little language of the tests: sentences with he / she, rows tables, neutral texts.

Everything is drawn from a private random generator with a fixed seed, so two sessions see the same texts. Knows
nothing of models or tokenizers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pandas as pd

MASK = "[MASK]"
NAMES = {
    "M": ["john", "peter", "james", "henry", "thomas"],
    "F": ["mary", "anna", "emma", "jane", "susan"],
}
JOBS = {
    "M": ["doctor", "engineer", "soldier", "captain"],
    "F": ["nurse", "teacher", "singer", "secretary"],
}
PRONOUN = {"M": "he", "F": "she"}
REFLEXIVE = {"M": "himself", "F": "herself"}
YOUNG = {"M": ["boy", "child"], "F": ["girl", "child"]}
OTHER = {"M": "F", "F": "M"}
PLACES = ["house", "market", "garden", "church", "school", "river", "station", "old town hall"]
THINGS = ["book", "letter", "table", "bread", "coat", "small wooden box", "song", "window"]
MOODS = ["happy", "tired", "hungry", "angry", "quiet", "unhappy", "very late", "kind"]
VERBS = ["carry", "find", "read", "sell", "wash", "repair"]


@dataclass(frozen=True)
class Sentence:
    """One sentence cut at its gendered word: ``left + word + right``; ``gender`` is "M" or "F"."""

    left: str
    word: str
    right: str
    gender: str

    @property
    def text(self) -> str:
        return self.left + self.word + self.right

    @property
    def masked(self) -> str:
        return self.left + MASK + self.right


def _draw(rng: random.Random, gender: str, loyalty: float) -> Sentence:
    """Draw one sentence whose cue says ``gender``; the pronoun follows it with probability ``loyalty``."""
    name, place, thing = rng.choice(NAMES[gender]), rng.choice(PLACES), rng.choice(THINGS)
    mood, verb, job = rng.choice(MOODS), rng.choice(VERBS), rng.choice(JOBS[gender])
    spoken = gender if rng.random() < loyalty else OTHER[gender]
    word = PRONOUN[spoken]
    shapes = [
        (f"{name} went to the {place} because ", word, f" was {mood} ."),
        (f"when {name} came home , ", word, f" said hello to the {rng.choice(JOBS['M'] + JOBS['F'])} ."),
        (f"{name} is a {job} and ", word, f" works in the {place} every day ."),
        (f"the {job} said that ", word, f" would {verb} the {thing} ."),
        (f"{name} was {mood} . ", word.title(), f" went to the {place} ."),
        (f"at the {place} {name} found the {thing} , so ", word, f" was {mood} and went home ."),
    ]
    left, word, right = rng.choice(shapes)
    return Sentence(left, word, right, spoken)


def build_sentences(count: int, *, seed: int = 11, loyalty: float = 0.85) -> list[Sentence]:
    """Draw ``count`` he / she sentences, the two cues in turn; ``loyalty`` below 1 keeps predictions undecided."""
    rng = random.Random(seed)
    return [_draw(rng, "M" if index % 2 == 0 else "F", loyalty) for index in range(count)]


def build_neutral_texts(count: int = 40, *, seed: int = 23) -> list[str]:
    """Draw ``count`` texts without he or she: what the language-modelling score is measured on."""
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        place, thing, mood, verb = rng.choice(PLACES), rng.choice(THINGS), rng.choice(MOODS), rng.choice(VERBS)
        shapes = [
            f"the {thing} in the {place} is {mood} .",
            f"they were {mood} and went to the {place} to {verb} the {thing} .",
            f"we would {verb} the {thing} every day .",
            f"the {place} was quiet , the {thing} was old , and they said hello .",
        ]
        texts.append(rng.choice(shapes))
    return texts


def build_extra_texts(count: int, *, seed: int = 31) -> list[str]:
    """Draw texts with himself / herself (several pieces), boy / girl / child (shared), and he / she at the start."""
    rng = random.Random(seed)
    texts = []
    for index in range(count):
        gender = "M" if index % 2 == 0 else "F"
        name = rng.choice(NAMES[gender])
        shapes = [
            f"{name} made the {rng.choice(THINGS)} for {REFLEXIVE[gender]} .",
            f"{name} was a {rng.choice(MOODS)} {rng.choice(YOUNG[gender])} .",
            f"{PRONOUN[gender]} went to the {rng.choice(PLACES)} .",
        ]
        texts.append(rng.choice(shapes))
    return texts


def _row(masked: str, label: str, gender: str, alternative: str, split: str) -> dict[str, str]:
    return {
        "masked": masked,
        "label": label,
        "label_class": gender,
        "alternative": alternative,
        "alternative_class": OTHER[gender],
        "split": split,
    }


def build_rows(train: int = 24, validation: int = 8, test: int = 21, *, seed: int = 5) -> pd.DataFrame:
    """A table in the column layout of ``assets/demo/eval.csv``: he / she rows, ``train + validation + test`` per class.

    The classes alternate within a split and the lengths of the left contexts differ, so that batches are padded.
    """
    rng = random.Random(seed)
    rows = []
    for split, count in (("train", train), ("validation", validation), ("test", test)):
        for _ in range(count):
            for gender in ("M", "F"):
                sentence = _draw(rng, gender, loyalty=1.0)
                other = PRONOUN[OTHER[gender]]
                other = other.title() if sentence.word[0].isupper() else other
                rows.append(_row(sentence.masked, sentence.word, gender, other, split))
    return pd.DataFrame(rows)


def build_reflexive_rows(count: int = 9, *, seed: int = 6) -> pd.DataFrame:
    """Rows whose tokens are himself / herself: two word pieces each for the tiny BERT."""
    rng = random.Random(seed)
    rows = [
        _row(
            f"{rng.choice(NAMES[gender])} made the {rng.choice(THINGS)} for {MASK} .",
            REFLEXIVE[gender],
            gender,
            REFLEXIVE[OTHER[gender]],
            "test",
        )
        for _ in range(count)
        for gender in ("M", "F")
    ]
    return pd.DataFrame(rows)


def build_shared_rows(count: int = 12, *, seed: int = 7) -> pd.DataFrame:
    """Rows whose two classes share the token "child": only row-wise scoring is defined for them."""
    rng = random.Random(seed)
    rows = []
    for index in range(count):
        for gender in ("M", "F"):
            own, other = YOUNG[gender][index % 2], YOUNG[OTHER[gender]][(index // 2) % 2]
            text = f"{rng.choice(NAMES[gender])} was a {rng.choice(MOODS)} {MASK} ."
            rows.append(_row(text, own, gender, other, "test"))
    return pd.DataFrame(rows)
