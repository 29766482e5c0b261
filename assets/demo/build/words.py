"""Word lists of the demo: first names, gendered words, personal pronouns, occupations.

The neutral rule is made of them: a text is *gender-free* when it has no gendered word, no first name and no person of
the books, and *pronoun-free* when it has no personal pronoun either. Knows no text.
"""

from __future__ import annotations

import re


def _lot(words: str) -> tuple[str, ...]:
    return tuple(words.split())


FEMALE_NAMES = _lot(
    """mary susan emma anna sarah laura julia helen alice kate lucy sophie nina clara ruth eva molly jane elizabeth anne
    maria margaret caroline charlotte catherine lydia harriet fanny isabella eleanor marianne louisa emily amy lisa
    jennifer jessica rachel rebecca linda karen nancy barbara diana martha julie sandra christine andrea melissa
    michelle angela stephanie amanda nicole claire katherine hannah victoria olivia maggie annie betty dorothy evelyn
    florence judith carol ellen donna sharon heather joan edith leah zoe"""
)
MALE_NAMES = _lot(
    """john peter david michael robert james thomas paul daniel jack henry oliver sam adam luke simon george eric edward
    charles william richard joseph philip stephen steven kevin brian andrew matthew anthony christopher nicholas
    jonathan alexander benjamin tom tim jim joe ben dan mike steve chris matt nick tony greg scott ryan jason justin
    kyle derek martin walter albert arthur frederick harry hugh edmund francis isaac samuel jacob patrick dennis gary
    larry jerry roger ralph howard fred bob bill ted alan allen leonard"""
)
MALE_CUES = frozenset(
    _lot(
        """mr sir brother father son uncle nephew husband gentleman king prince lord captain colonel boy man his him
    himself grandfather dad actor waiter duke monk"""
    )
) | frozenset(MALE_NAMES)
FEMALE_CUES = frozenset(
    _lot(
        """mrs miss lady sister mother daughter aunt niece wife queen princess madam girl woman her herself hers
    grandmother mum actress waitress duchess nun"""
    )
) | frozenset(FEMALE_NAMES)
GENDERED = (
    MALE_CUES
    | FEMALE_CUES
    | frozenset(
        _lot(
            """he she men women boys girls ladies gentlemen sons daughters brothers sisters master mistress ms maid lad
    lass duke duchess bride groom emperor empress goddess god gods fathers mothers dad mom mum actor actress male female
    masculine feminine husbands wives widow widower bachelor lords kings queens princes princesses uncles aunts
    nephews nieces grandson granddaughter monk nun hero heroine waiter waitress host hostess landlord landlady
    boyfriend girlfriend heir heiress baron baroness count countess fellow fellows guy guys papa mamma
    mama chap lads maids masters policeman policewoman fisherman sportsman clergyman countryman tradesman footman
    nobleman workman seaman businessman chairman gentlewoman housewife stepfather stepmother"""
        )
    )
)
ENDINGS = ("man", "men", "woman", "women")
"""A word that ends so is gendered (policemen, coachman); a few harmless ones (human) go with them."""
PERSONS = frozenset(
    _lot(
        """ma'am actors actresses waiters waitresses monks nuns heroes dukes emperors wizard witch witches priest
    priests abbess bull bulls cow cows hen hens rooster stallion mare ewe ram grandmothers grandfathers
    grandparents ahab starbuck queequeg stubb ishmael peleg bildad tashtego daggoo fedallah pip elijah jonah
    moses noah solomon jove jupiter jesus christ perseus hercules adam eve elinor kitty lizzy darcy bingley
    wickham willoughby brandon knightley elton weston woodhouse crawford bertram rushworth norris yates
    tilney thorpe morland wentworth elliot musgrove harville benwick dashwood jennings palmer middleton
    ferrars steele bennet collins gardiner lucas churchill fairfax bates perry croft russell augusta
    penelope selina julius caesar napoleon shakespeare"""
    )
)
"""Gendered words, and persons of the books, that the neutral rule leaves out beyond `GENDERED`."""
PRONOUNS = frozenset(
    _lot(
        """i me my mine myself you your yours yourself yourselves it its itself we us our ours ourselves they them their
    theirs themselves one oneself who whom whose thou thee thy thine ye somebody someone anybody anyone nobody everybody
    everyone person let's tis twas thyself em"""
    )
)
OCCUPATIONS = _lot(
    """nurse doctor engineer teacher secretary pilot lawyer scientist manager chef driver farmer soldier officer judge
    student professor artist writer singer dancer mechanic carpenter surgeon dentist clerk captain painter poet author
    editor coach director president"""
)
MODERN = _lot(
    """librarian actress actor ceo chief computer phone car office hospital school university train bus airport internet
    email movie television game football music coffee breakfast dinner lunch kitchen garden job work meeting project
    report team company city street park library museum hotel restaurant market shop money bank weekend monday tuesday
    wednesday thursday friday saturday sunday january february march april may june july august september october
    november december tennis basketball guitar piano camera bicycle bike mom dad mum boyfriend girlfriend waiter
    waitress accountant banker builder butcher assistant athlete journalist photographer architect physicist chemist
    philosopher therapist electrician developer designer analyst consultant researcher receptionist plumber cook police
    princess queen king prince widow bride groom monk pilot maid butler gardener tailor sailor"""
)
"""Kept in the vocabulary for sentences of today, however rare they are in the books."""


def words_of(text: str) -> list[str]:
    """The words of a text, lower case, with inner apostrophes."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())


def _has(text: str, words: frozenset[str]) -> bool:
    """A possessive counts as its noun."""
    return any(word in words or stem(word) in words for word in words_of(text))


def stem(word: str) -> str:
    """A word without what follows an apostrophe: `mother's -> mother`, `he's -> he`."""
    return word.split("'")[0]


def is_gender_free(text: str) -> bool:
    """Free of gendered words, first names and the books' persons."""
    return not _has(text, GENDERED | PERSONS) and not any(stem(word).endswith(ENDINGS) for word in words_of(text))


def is_pronoun_free(text: str) -> bool:
    """Free of gendered words and of every personal pronoun."""
    return is_gender_free(text) and not _has(text, PRONOUNS)
