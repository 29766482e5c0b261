"""Step base: texts, word pieces and first model to the small base model of the demo, in float16 on disk.

Knows how the parts go together; the parts know nothing of each other.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from assets.demo.build.corpus import Document, read_documents, segments
from assets.demo.build.masked_training import MaskedTraining, Pieces, accuracy
from assets.demo.build.recipe import Recipe
from assets.demo.build.small_bert import cut
from assets.demo.build.steps import Place, Say
from assets.demo.build.templates import People
from assets.demo.build.vocabulary import kept_pieces, known_names, plain_tokenizer, write_tokenizer

FETCHED, FIRST_MODEL, BASE = "packages", "first_model", "base"
BASE_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Texts:
    """All documents, the first model's tokenizer, and who the templates are about."""

    documents: list[Document]
    tokenizer: Tokenizer
    people: People

    def part(self, held_out: bool) -> list[Document]:
        return [document for document in self.documents if document.held_out == held_out]


def read_texts(place: Place) -> Texts:
    """The same documents in the same split for every step that asks."""
    fetched = place.folder(FETCHED)
    tokenizer = plain_tokenizer(fetched / FIRST_MODEL / "tokenizer.json")
    people = People(*known_names(tokenizer))
    return Texts(read_documents(fetched, people, place.recipe), tokenizer, people)


def build_base(place: Place, say: Say) -> dict[str, Any]:
    """Cut, train and save; gives the figures of the base model."""
    recipe, first = place.recipe, place.folder(FETCHED) / FIRST_MODEL
    texts = read_texts(place)
    kept, covered = kept_pieces(texts.part(held_out=False), texts.tokenizer, recipe.vocabulary)
    say(f"{len(kept):,} word pieces cover {covered:.1%} of the text")
    folder = place.folder(BASE)
    tokenizer = write_tokenizer(first / "tokenizer.json", kept, recipe.positions, folder)
    items = segments(texts.part(held_out=False), tokenizer, recipe.longest)
    held = segments(texts.part(held_out=True), tokenizer, recipe.longest)
    tokens, held_tokens = (sum(len(item.ids) for item in part) for part in (items, held))
    say(f"{tokens:,} tokens to train on, {held_tokens:,} held out")
    ids = texts.tokenizer.get_vocab()
    names = (texts.people.female_names, texts.people.male_names)
    pieces = Pieces.of(tokenizer.get_vocab(), names)
    training = MaskedTraining(cut(first, [ids[piece] for piece in kept], recipe), pieces, recipe, folder)
    if place.again == BASE:
        training.forget()
    training.run(items, say)
    training.model.half().save_pretrained(folder)
    figures = {
        "parameters": sum(weight.numel() for weight in training.model.parameters()),
        "bytes": (folder / "model.safetensors").stat().st_size,
        "vocabulary": len(kept),
        "covered": covered,
        "train_tokens": tokens,
        "held_out_tokens": held_tokens,
        "accuracy": accuracy(training.model.float(), held, pieces, recipe),
        "accuracy_all_masked": accuracy(training.model, held, pieces, recipe, hidden=1.0),
        "accuracy_by_source": by_source(training.model, held, pieces, recipe),
        "threads": torch.get_num_threads(),
        "earlier_seconds": training.earlier,
    }
    say(f"held-out accuracy {figures['accuracy']:.4f}, every asked token masked {figures['accuracy_all_masked']:.4f}")
    training.forget()
    return figures


def by_source(model: Any, held: list[Any], pieces: Pieces, recipe: Recipe) -> dict[str, float]:
    """The masked accuracy on each source's held-out text alone."""
    sources = dict.fromkeys(item.source for item in held)
    return {name: accuracy(model, [item for item in held if item.source == name], pieces, recipe) for name in sources}


def copy_base(place: Place) -> Path:
    """The finished base model in the shipped folder."""
    target = place.out / BASE
    target.mkdir(parents=True, exist_ok=True)
    for name in BASE_FILES:
        shutil.copy(place.work / BASE / name, target / name)
    return target


def use_cores(count: int) -> None:
    """Denormal numbers are flushed: they slow the training down twentyfold towards its end."""
    torch.set_num_threads(count)
    torch.set_flush_denormal(True)
