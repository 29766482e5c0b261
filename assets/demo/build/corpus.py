"""Texts to documents (paragraphs of sentences), each either for training or held out, and to segments of word pieces.

Knows the texts' files and the templates; knows no model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from assets.demo.build.recipe import Recipe
from assets.demo.build.templates import People, base_sentences

TEMPLATE_SENTENCES = 16_000
BOOKS = ("austen", "melville")
TEMPLATES, WORDNET = "templates", "wordnet"
HEADING = re.compile(r"^(CHAPTER|VOLUME|Chapter|THE END|Finis|By Jane|by Jane|Epilogue)")
TITLES = ("Mr", "Mrs", "Dr", "St", "Col", "Capt", "Messrs", "Rev", "[A-Z]")
NO_END = "".join(rf"(?<!\b{title}\.)" for title in TITLES)
SENTENCE_END = re.compile(NO_END + r"(?<=[.!?])[\"')]*\s+(?=[\"'(]?[A-Z])")
FEWEST_WORDS = 4
PLAIN = str.maketrans({"“": '"', "”": '"', "’": "'", "‘": "'", "_": None, "*": None})


@dataclass(frozen=True)
class Document:
    """One paragraph of a source: its sentences, and whether no model was trained on it."""

    source: str
    sentences: tuple[str, ...]
    held_out: bool


@dataclass(frozen=True)
class Segment:
    """Ids of consecutive sentences of one document, without special tokens."""

    source: str
    ids: tuple[int, ...]


def read_documents(folder: Path, people: People, recipe: Recipe) -> list[Document]:
    """All documents of the texts in `folder`, and the base model's template sentences (never held out)."""
    documents: list[Document] = []
    for source, share in recipe.held_out:
        text = (folder / f"{source}.txt").read_text(encoding="utf-8")
        paragraphs = examples(text) if source == WORDNET else book_paragraphs(text)
        rng = random.Random(f"{recipe.seed} {source}")
        documents += [Document(source, tuple(sentences), rng.random() < share) for sentences in paragraphs]
    rng = random.Random(f"{recipe.seed} {TEMPLATES}")
    made = base_sentences(people, TEMPLATE_SENTENCES, rng)
    return documents + [Document(TEMPLATES, (sentence,), False) for sentence in made]


def book_paragraphs(text: str) -> Iterator[list[str]]:
    """The sentences of each paragraph; headings and very short lines are left out."""
    for block in re.split(r"\n\s*\n", text):
        lines = " ".join(line.strip() for line in block.splitlines())
        if not HEADING.match(lines) and len(lines.split()) >= FEWEST_WORDS:
            yield sentences_of(lines)


def examples(text: str) -> Iterator[list[str]]:
    """One sentence a line, with a capital letter and a full stop."""
    for line in text.splitlines():
        sentence = cleaned(line)
        if len(sentence.split()) >= FEWEST_WORDS:
            yield [sentence[0].upper() + sentence[1:] + ("" if sentence[-1] in ".!?" else ".")]


def sentences_of(paragraph: str) -> list[str]:
    return [sentence for part in SENTENCE_END.split(cleaned(paragraph)) if (sentence := part.strip())]


def cleaned(text: str) -> str:
    """Plain quotation marks, dashes with spaces, single spaces."""
    return re.sub(r"\s+", " ", text.translate(PLAIN).replace("--", " - ").replace("—", " - ")).strip()


def segments(documents: Iterable[Document], tokenizer: Tokenizer, longest: int) -> list[Segment]:
    """Consecutive sentences of a document packed into at most `longest` word pieces."""
    packed: list[Segment] = []
    for document in documents:
        current: list[int] = []
        for encoding in tokenizer.encode_batch(list(document.sentences), add_special_tokens=False):
            ids = encoding.ids[:longest]
            if current and len(current) + len(ids) > longest:
                packed.append(Segment(document.source, tuple(current)))
                current = []
            current += ids
        if current:
            packed.append(Segment(document.source, tuple(current)))
    return packed


def batches(items: Sequence[Segment], tokens: int, shares: dict[str, float], rng: random.Random) -> list[list[Segment]]:
    """One round over the segments in batches of at most `tokens` padded tokens, like lengths together, then shuffled.

    shares: how much of a source is taken this round; a source without one is taken whole.
    """
    chosen = [item for item in items if rng.random() < shares.get(item.source, 1.0)]
    rng.shuffle(chosen)
    made: list[list[Segment]] = []
    for start in range(0, len(chosen), 6000):
        current: list[Segment] = []
        for item in sorted(chosen[start : start + 6000], key=lambda segment: len(segment.ids)):
            if current and (len(item.ids) + 2) * (len(current) + 1) > tokens:
                made.append(current)
                current = []
            current.append(item)
        if current:
            made.append(current)
    rng.shuffle(made)
    return made
