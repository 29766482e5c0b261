"""Sentences of the project's own, in three lots of patterns that share none: for the base model, for the training of
the GRADIEND, for its tests. Knows the word lists.

{n} a person, {p} he or she, {s} his or her; {w}, {v} occupations.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from assets.demo.build.words import OCCUPATIONS

OCCUPATION_SHARE = 0.12
NAME_SHARE = 0.65
BASE = (
    "{n} said that {p} would come back soon.",
    "{n} was tired because {p} had worked all day.",
    "when {n} arrived at the station, {p} called a taxi.",
    "{n} forgot {s} keys, so {p} waited outside.",
    "{n} thinks that {p} will win the game.",
    "{n} told me that {p} was very happy.",
    "if {n} is late, {p} will not catch the train.",
    "{n} opened the door and {p} saw the garden.",
    "{n} is sick today, so {p} is staying at home.",
    "{n} bought a car last year because {p} lives far from the city.",
    "{n} loves music, and {p} plays the piano every evening.",
    "{n} went to the market, where {p} bought some bread.",
    "{n} could not find {s} phone until {p} looked under the table.",
    "after dinner {n} said that {p} wanted to go home.",
    "{n} has lived here since {p} was a child.",
    "{n} wrote a letter to {s} friend, but {p} did not send it.",
    "we asked {n} whether {p} could help us.",
    "{n} is proud of {s} work, and {p} should be.",
    "{n} hurt {s} hand while {p} was cooking.",
    "before {n} goes to bed, {p} always reads a book.",
    "{n} studied at the university, where {p} learned physics.",
    "{n} smiled, for {p} knew the answer.",
    "{n} was reading in the library when {p} heard a noise.",
    "everyone likes {n} because {p} is kind to people.",
    "{n} lost {s} job, but {p} soon found another.",
    "{n} asked for more time, as {p} had not finished the report.",
    "as soon as {n} had eaten, {p} left the house.",
    "{n} hoped that {p} would see {s} parents again.",
    "{n} looked at the picture; {p} had never seen it before.",
    "{n} promised that {p} would pay for the coffee.",
    "i saw {n} this morning, and {p} was walking to the park.",
    "{n} likes the film, though {p} did not like the book.",
    "{n} drove slowly because {p} was afraid of the snow.",
    "they invited {n} to the party, but {p} did not come.",
    "{n} sat down, and then {p} began to speak.",
    "{n} took {s} coat and {p} went out into the rain.",
    "this is {n}, and {p} is my friend.",
    "{n} cannot swim, so {p} stayed near the shore.",
    "{n} works in an office, but {p} would rather be outside.",
    "{n} was angry at first, but later {p} laughed about it.",
    "do you know {n}? {p} lives next to us.",
    "i met {n} yesterday. {p} asked about you.",
    "{n} came in. {p} was cold and wet.",
    "nobody believed {n} when {p} told the story.",
    "{n} gave me {s} address before {p} moved away.",
    "{n} won the prize; {p} had trained for years.",
)
TRAIN = (
    "{n} works as an engineer and says that {p} enjoys the job.",
    "{n} called the office because {p} needed help with the computer.",
    "{n} turned off the light before {p} fell asleep.",
    "{n} missed the bus, so {p} walked to the hospital.",
    "{n} found an old picture that {p} had lost years ago.",
    "{n} will visit us next week if {p} has time.",
    "when the rain stopped, {n} said {p} would go for a walk.",
    "{n} is a good friend; {p} always listens.",
    "the bread was cold when {n} came, but {p} ate all of it.",
    "{n} learned to dance after {p} had moved to the sea.",
    "on monday {n} told us that {p} had sold the horse.",
    "{n} closed the window, for {p} could hear the wind.",
    "{n} kept the letter until {p} found a better place for it.",
    "since {n} left the company, {p} has worked in a shop.",
    "{n} never drinks coffee, because {p} sleeps badly.",
    "{n} waited for an hour, and at last {p} went away.",
)
TEST = (
    "yesterday {n} ran ten miles, and today {p} can hardly walk.",
    "{n} teaches at a small school where {p} is loved by the students.",
    "{n} moved to the city because {p} found a better job there.",
    "although {n} was nervous, {p} gave a wonderful talk.",
    "{n} cooked dinner while {p} listened to the radio.",
    "whenever {n} is sad, {p} plays the guitar.",
    "{n} knows that {p} made a mistake.",
    "{n} bought a ticket, but {p} left it at home.",
    "the dog followed {n} to the river, where {p} threw a stick.",
    "at night {n} reads until {p} can keep awake no longer.",
    "{n} painted the kitchen green, a colour {p} had always liked.",
    "they thanked {n}, but {p} only laughed.",
    "{n} packed the bags and {p} went straight to the airport.",
    "as a child {n} was often ill, yet {p} grew strong.",
    "{n} repaired the clock that {p} had bought in paris.",
    "nobody told {n} that {p} could stay in the house.",
    "in the summer {n} writes, and in the winter {p} travels.",
    "{n} shook the tree, and {p} gathered the apples.",
    "the letter reached {n} when {p} no longer expected it.",
    "{n} stood on the bridge; {p} could see the whole town.",
)
NEUTRAL = (
    "the {w} works in the city.",
    "the {w} came to the office on monday.",
    "we met the {w} at the hospital.",
    "a {w} must learn many things.",
    "the {w} wrote a long report about the project.",
    "the {w} lives near the school.",
    "every {w} in the company knows the rule.",
    "a good {w} is hard to find.",
    "the {w} and the {v} had lunch together.",
    "the {w} called the {v} by phone.",
)
MALE_PERSONS = (
    "my brother", "my father", "our father", "the boy", "the man", "the old man", "my uncle", "the king", "the prince",
    "the husband", "the gentleman", "my son", "my grandfather", "the actor", "mr smith", "mr brown", "mr green",
    "mr wood", "sir john", "sir thomas", "the young man", "my dad", "your brother", "the waiter", "my nephew",
    "the duke", "the monk",
)  # fmt: skip
FEMALE_PERSONS = (
    "my sister", "my mother", "our mother", "the girl", "the woman", "the old woman", "my aunt", "the queen",
    "the princess", "the wife", "the lady", "my daughter", "my grandmother", "the actress", "mrs smith", "mrs brown",
    "miss green", "miss wood", "lady anne", "mrs white", "the young woman", "my mum", "your sister", "the waitress",
    "my niece", "the duchess", "the nun",
)  # fmt: skip


@dataclass(frozen=True)
class People:
    """Who a template may be about: first names and other words for a person."""

    female_names: Sequence[str]
    male_names: Sequence[str]

    def draw(self, gender: str, rng: random.Random) -> str:
        """gender: "M" or "F"."""
        names, persons = (self.male_names, MALE_PERSONS) if gender == "M" else (self.female_names, FEMALE_PERSONS)
        return rng.choice(names) if rng.random() < NAME_SHARE else rng.choice(persons)


def filled(pattern: str, person: str, gender: str, pronoun: str | None = None) -> str:
    """A pattern with a person; pronoun: in place of he or she, such as [MASK]."""
    subject, possessive = ("he", "his") if gender == "M" else ("she", "her")
    return pattern.format(n=person, p=pronoun or subject, s=possessive)


def base_sentences(people: People, count: int, rng: random.Random) -> list[str]:
    """At most `count` different sentences for the base model, sorted."""
    sentences: set[str] = set()
    for _ in range(20 * count):
        if len(sentences) >= count:
            break
        if rng.random() < OCCUPATION_SHARE:
            first, second = rng.sample(OCCUPATIONS, 2)
            sentences.add(rng.choice(NEUTRAL).format(w=first, v=second))
            continue
        gender = rng.choice("MF")
        sentences.add(filled(rng.choice(BASE), people.draw(gender, rng), gender))
    return sorted(sentences)
