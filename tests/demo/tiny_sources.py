"""Texts and a first model so small that the whole build runs in seconds."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from assets.demo.build.corpus import read_documents
from assets.demo.build.packages import Source
from assets.demo.build.recipe import Recipe
from assets.demo.build.templates import People
from assets.demo.build.vocabulary import SPECIAL
from assets.demo.build.words import FEMALE_NAMES, MALE_NAMES, words_of

TINY = Recipe(
    held_out=(("austen", 0.4), ("melville", 0.4), ("wordnet", 0.4)),
    vocabulary=700,
    feed_forward=24,
    positions=64,
    steps=6,
    step_tokens=256,
    test_rows=8,
    validation_rows=4,
    train_rows=8,
    neutral_tokens=40,
    identity_rows=8,
    gradiend_steps=2,
    gradiend_batch=4,
    kept=0.5,
    seeds=2,
    number_test_rows=6,
    number_validation_rows=6,
    number_train_rows=6,
)
PLACES = ("river", "garden", "kitchen", "school", "market", "church", "station", "library", "hotel", "museum")
FORMS = (
    "he could see",
    "she could see",
    "it could reach",
    "they could see",
    "nobody told him of",
    "nobody told them of",
    "the wind took his letters to",
    "the wind took its letters to",
    "the wind took their letters to",
)
OTHERS = ("it", "they", "i", "you", "we", "them", "me", "us")


def paragraphs() -> list[str]:
    """One sentence a paragraph: rows of every kind, and neutral texts."""
    made = []
    for number, place in enumerate(PLACES * 4):
        day = f"{('first', 'second', 'third', 'fourth')[number // 10]} {('day', 'night')[number % 2]}"
        male, female = MALE_NAMES[number], FEMALE_NAMES[number]
        made += [
            f"On the {day} {male.title()} said aloud that he had seen the {place} before.",
            f"On the {day} {female.title()} said aloud that she had seen the {place} before.",
            f"The old {place} stood by the green hill on the {day} of the year.",
        ]
        made += [f"At noon of the {day} {form} the {place} behind the hill." for form in FORMS]
        made += [f"On the {day} the cold wind blew for {other} around the old {place}." for other in OTHERS]
    return made


def fetch(folder: Path, say: Callable[[str], None]) -> list[Source]:
    """In place of `packages.fetch`."""
    for name in ("austen", "melville", "wordnet"):
        joint = "\n" if name == "wordnet" else "\n\n"
        (folder / f"{name}.txt").write_text(joint.join(paragraphs()), encoding="utf-8")
    first = folder / "first_model"
    first.mkdir(exist_ok=True)
    people = People(FEMALE_NAMES, MALE_NAMES)
    documents = read_documents(folder, people, TINY)
    words = {word for document in documents for sentence in document.sentences for word in words_of(sentence)}
    vocabulary = [*SPECIAL, *string.ascii_lowercase, *string.digits, *".,;!?-'"]
    vocabulary += [f"##{letter}" for letter in string.ascii_lowercase]
    words |= {*FEMALE_NAMES, *MALE_NAMES, "he", "she", "him", "his", "her"}
    vocabulary += sorted(words - set(vocabulary))
    ids = {word: k for k, word in enumerate(dict.fromkeys(vocabulary))}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    ends = [("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(first / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(ids), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(first)
    say("made up")
    return [Source("austen", "nowhere", "1", "0")]
