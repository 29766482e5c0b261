"""From texts to documents, rows and neutral sets: the rules that the demo promises, on small texts."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from assets.demo.build.book_rows import balanced, mask_word, masked_windows, windows
from assets.demo.build.corpus import Document, Segment, batches, book_paragraphs, examples, read_documents, segments
from assets.demo.build.neutral import neutral_set
from assets.demo.build.number_rows import number_place, spread
from assets.demo.build.pronoun_rows import identity_place, pronoun_place, template_texts
from assets.demo.build.recipe import DEFAULT
from assets.demo.build.templates import BASE, FEMALE_PERSONS, MALE_PERSONS, TEST, TRAIN, People, base_sentences
from assets.demo.build.words import is_gender_free, is_pronoun_free, words_of

PEOPLE = People(("mary", "anna"), ("john", "paul"))
NOVEL = """CHAPTER I

I saw Mrs. Bennet. "Mr. Smith is here!" said A. Jones.
He left--at once.

Short line.

It was late, and the whole house was quiet.
"""


def words_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def test_a_novel_becomes_paragraphs_of_sentences() -> None:
    assert list(book_paragraphs(NOVEL)) == [
        ["I saw Mrs. Bennet.", '"Mr. Smith is here!" said A. Jones.', "He left - at once."],
        ["It was late, and the whole house was quiet."],
    ]


def test_examples_become_sentences_and_short_ones_go() -> None:
    assert list(examples("the stamp came loose\nsessile flowers\nwhy did it rain?")) == [
        ["The stamp came loose."],
        ["Why did it rain?"],
    ]


def test_every_reader_gets_the_same_split(tmp_path: Path) -> None:
    for name in ("austen", "melville", "wordnet"):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"This is the sentence number {k}." for k in range(300)))
    first = read_documents(tmp_path, PEOPLE, DEFAULT)
    assert first == read_documents(tmp_path, PEOPLE, DEFAULT)
    for source, share in DEFAULT.held_out:
        part = [document.held_out for document in first if document.source == source]
        assert abs(sum(part) / len(part) - share) < 0.08
    assert not any(document.held_out for document in first if document.source == "templates")


def test_segments_hold_whole_sentences_up_to_their_length() -> None:
    document = Document("austen", ("one two three", "four five", "six seven eight"), False)
    assert [len(item.ids) for item in segments([document], words_tokenizer(), 5)] == [5, 3]


def test_batches_hold_every_segment_once_and_no_more_tokens_than_asked() -> None:
    items = [Segment("austen", tuple(range(5, 5 + length))) for length in range(1, 60)]
    made = batches(items, 256, {}, random.Random(3))
    assert sorted(len(item.ids) for batch in made for item in batch) == list(range(1, 60))
    assert all(max(len(item.ids) + 2 for item in batch) * len(batch) <= 256 for batch in made)
    assert batches(items, 256, {"austen": 0.0}, random.Random(3)) == []


@pytest.mark.parametrize(
    ("text", "gender_free", "pronoun_free"),
    [
        ("the table stood in the middle of the room", True, True),
        ("they saw that it was late", True, False),
        ("the king was old", False, False),
        ("mary's house was old", False, False),
        ("nobody knew the way", True, False),
        ("let's fix the date", True, False),
        ("two seamen and a coachman slept", False, False),
        ("captain ahab's ship", False, False),
    ],
)
def test_the_neutral_rule(text: str, gender_free: bool, pronoun_free: bool) -> None:
    assert (is_gender_free(text), is_pronoun_free(text)) == (gender_free, pronoun_free)


def test_a_row_needs_one_pronoun_and_a_cue_of_its_gender_before_it() -> None:
    assert pronoun_place(words_of("my brother said that he was ill")) == (4, "M")
    assert pronoun_place(words_of("mary thought she was late")) == (2, "F")
    assert pronoun_place(words_of("he said that my brother was ill")) is None
    assert pronoun_place(words_of("john told mary that he was ill")) is None
    assert pronoun_place(words_of("john said he thought he was ill")) is None
    assert pronoun_place(words_of("mary's brother said that he was ill")) is None
    assert pronoun_place(words_of("my brother said that he's ill")) is None


def test_an_identity_row_has_another_pronoun_and_no_gendered_one() -> None:
    assert identity_place(words_of("they gave us the letter")) == (2, "us")
    assert identity_place(words_of("they gave her the letter")) is None
    assert identity_place(words_of("the door was open")) is None


def test_a_row_of_number_does_not_give_itself_away() -> None:
    assert number_place(words_of("at noon they could see the sea")) == (2, "they")
    assert number_place(words_of("at noon they were at the sea")) is None
    assert number_place(words_of("nobody had seen him since monday")) == (3, "him")
    assert number_place(words_of("they said that he could go")) is None
    assert number_place(words_of("they could see that he's late")) is None
    assert number_place(words_of("they indeed are late")) is None


def test_a_word_is_masked_where_it_stands_alone() -> None:
    assert mask_word("the she-wolf saw that she was there", "she", 1) == "the she-wolf saw that [MASK] was there"
    assert mask_word("then he's gone and he knows", "he", 0) is None
    assert mask_word("there is none", "he", 0) is None


def test_windows_of_one_place_give_one_row() -> None:
    sentences = ("My brother came home very late last night, said he.", "It rained on the old house all night long.")
    found = windows([Document("austen", sentences, True)], random.Random(1))
    assert len(found) == 3
    rows = list(masked_windows(found, pronoun_place))
    assert len(rows) == 1
    assert rows[0].text.count("[MASK]") == 1 and rows[0].label == "he"
    assert balanced(rows, {"M": 1, "F": 0}) == {"M": rows, "F": []}
    with pytest.raises(ValueError, match="1 rows of 'M' only, 2 are needed"):
        balanced(rows, {"M": 2})


def test_rows_of_number_are_spread_over_their_words() -> None:
    assert spread(75, ("they", "them", "their")) == {"they": 25, "them": 25, "their": 25}
    assert spread(8, ("a", "b", "c")) == {"a": 3, "b": 3, "c": 2}


@pytest.mark.parametrize("lot", [BASE, TRAIN, TEST], ids=("base", "train", "test"))
def test_a_pattern_has_no_gender_of_its_own(lot: tuple[str, ...]) -> None:
    assert all(is_gender_free(pattern.format(n="x", p="x", s="x")) for pattern in lot)


@pytest.mark.parametrize(("persons", "gender"), [(MALE_PERSONS, "M"), (FEMALE_PERSONS, "F")])
def test_a_person_tells_one_gender(persons: tuple[str, ...], gender: str) -> None:
    pronoun = {"M": "he", "F": "she"}[gender]
    for person in persons:
        assert pronoun_place([*words_of(person), pronoun]) == (len(words_of(person)), gender), person


def test_the_three_lots_of_templates_share_no_pattern() -> None:
    lots = [set(BASE), set(TRAIN), set(TEST)]
    assert not lots[0] & lots[1] and not lots[0] & lots[2] and not lots[1] & lots[2]
    assert all("{n}" in pattern and "{p}" in pattern for lot in lots for pattern in lot)


def test_template_rows_are_different_and_masked_once() -> None:
    texts = template_texts(TEST, PEOPLE, "F", 40, random.Random(2))
    assert len(set(texts)) == 40 and all(text.count("[MASK]") == 1 for text in texts)
    with pytest.raises(ValueError, match="different"):
        template_texts(TEST[:1], PEOPLE, "F", 400, random.Random(2))


def test_base_sentences_are_the_same_for_a_seed() -> None:
    assert base_sentences(PEOPLE, 50, random.Random(5)) == base_sentences(PEOPLE, 50, random.Random(5))


def test_a_neutral_set_is_held_out_text_and_large_enough() -> None:
    free = [Document("wordnet", (f"The number {k} stood on the old green door.",), True) for k in range(40)]
    gendered = [Document("austen", ("The king was in the old castle by the sea.",), True)]
    trained = [Document("melville", ("The ship was in the old harbour by the sea.",), False)]
    recipe = replace(DEFAULT, neutral_tokens=20)
    table = neutral_set([*free, *gendered, *trained], is_pronoun_free, words_tokenizer(), recipe)
    assert len(table) == 20 and set(table["source"]) == {"wordnet"}
    with pytest.raises(ValueError, match="masked tokens"):
        neutral_set(free, is_pronoun_free, words_tokenizer(), replace(DEFAULT, neutral_tokens=1000))
