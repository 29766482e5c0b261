"""Which objectives there are: what each one is, the kind of model it needs, and what computes it.

One registration for each, with everything that the rest asks of it; `register_objective` takes one from anywhere (see
assets/docs/development.md). Knows names and facts: what computes is imported when it is first needed, so a page asks
here without PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from gradiend_ui.engine.errors import BadBase, shown
from gradiend_ui.engine.registry import Labels, Reference, Registry

AUTO = "auto"
Kind = Literal["masked", "causal", "seq2seq"]
MASKED: Kind = "masked"
CAUSAL: Kind = "causal"
SEQ2SEQ: Kind = "seq2seq"
KIND_WORDS: dict[Kind, str] = {MASKED: "a masked", CAUSAL: "a causal", SEQ2SEQ: "an encoder-decoder"}
"""The kinds of language models, in the order of every list."""
WordReading = Literal["whole", "first piece", "as written"]
AskedAt = Literal["mask", "left", "decoder"]


@dataclass(frozen=True)
class ObjectiveFacts:
    """All that is asked of an objective but its numbers.

    kind: of the model it needs. about: it in a few words, for a list of choices. scored_by: a class that is given
    (base, rows, targets, limits) and is an `Objective`; with `token_boundary` the boundary comes before the limits.
    trained_by: (base, row, word) -> `TrainingInput`; None where nothing is trained with it, and `not_trained` may say
    why. usual: what "auto" takes for its kind. scored_as: the objective it becomes when a model is loaded.
    words_read: a word counts whole in every spelling of the vocabulary, by its first piece, or as it stands in a text.
    asked_at: where a sentence of one's own is asked: at every mask, behind the text left of it, or at the decoder.
    needs_mask: its tokenizer must have a mask token. windowed: it looks at the text right of the mask through
    `rhs_window`. token_boundary: it knows two readings of a word's beginning. at_encoder: the output layer is read
    on the encoder's hidden states. between_sentinels: a T5's decoder is asked for the word between two sentinels.
    said_there: P of a one-piece word is what the model says at the asked place; elsewhere only its scorer can tell.
    bare: texts begin without special tokens and are never put into a chat prompt.
    labels, helps: {language: text} of what a page shows, where the language files do not know it.
    """

    name: str
    kind: Kind
    about: str
    scored_by: Reference
    trained_by: Reference | None = None
    not_trained: str | None = None
    usual: bool = False
    scored_as: str | None = None
    words_read: WordReading = "whole"
    asked_at: AskedAt = "mask"
    needs_mask: bool = False
    windowed: bool = False
    token_boundary: bool = False
    at_encoder: bool = False
    between_sentinels: bool = False
    said_there: bool = False
    bare: bool = False
    labels: Labels = field(default_factory=dict)
    helps: Labels = field(default_factory=dict)

    @property
    def left_only(self) -> bool:
        """Whether only the text left of the mask is read."""
        return self.asked_at == "left" and not self.windowed

    @property
    def one_gap(self) -> bool:
        """Whether one gap of a sentence is read only."""
        return self.asked_at != "mask"

    @property
    def continues(self) -> bool:
        """Whether its models go on with a text."""
        return self.kind != MASKED


OBJECTIVES: Registry[ObjectiveFacts] = Registry("objective")
Made = TypeVar("Made", bound=Callable[..., Any])


def register_objective(name: str, kind: Kind, about: str, **facts: Any) -> Callable[[Made], Made]:
    """A decorator for the class that scores by an objective of one's own; facts: fields of `ObjectiveFacts`.

    Raises BadName for a name that is taken.
    """

    def registered(scored_by: Made) -> Made:
        shown_as = {"labels": {"en": about}, "helps": {"en": about}}
        made = ObjectiveFacts(name=name, kind=kind, about=about, scored_by=scored_by, **(shown_as | facts))
        OBJECTIVES.add(name, made, scored_by.__module__)
        return scored_by

    return registered


def objective_named(name: object) -> ObjectiveFacts:
    """Raises BadBase with the names there are."""
    found = OBJECTIVES.get(name)
    if found is None:
        raise BadBase(
            f"There is no prediction objective {shown(name)}; choose auto or one of: {', '.join(objective_names())}."
        )
    return found


def objective_names() -> tuple[str, ...]:
    """All of them, by the kind of their models, the usual one of a kind first."""
    return tuple(facts.name for kind in KIND_WORDS for facts in objectives_of(kind))


def objectives_of(kind: str) -> tuple[ObjectiveFacts, ...]:
    """Those of a kind of model, the usual one first."""
    own = [OBJECTIVES[name] for name in OBJECTIVES if OBJECTIVES[name].kind == kind]
    return tuple(sorted(own, key=lambda facts: not facts.usual))


_SCORING = "gradiend_ui.engine.scoring.objectives"
_LOSSES = "gradiend_ui.engine.training.losses"

for _facts in (
    ObjectiveFacts(
        "mlm_mask_token",
        MASKED,
        "the mask of a masked model",
        scored_by=f"{_SCORING}.mlm:MlmMaskToken",
        trained_by=f"{_LOSSES}:masked_input",
        usual=True,
        needs_mask=True,
        token_boundary=True,
        said_there=True,
    ),
    ObjectiveFacts(
        "clm_next_token",
        CAUSAL,
        "the next token",
        scored_by=f"{_SCORING}.causal:ClmNextToken",
        trained_by=f"{_LOSSES}:next_token_input",
        usual=True,
        words_read="first piece",
        asked_at="left",
        token_boundary=True,
        said_there=True,
    ),
    ObjectiveFacts(
        "clm_sequence_cloze",
        CAUSAL,
        "whole continuations, with the text right of the mask",
        scored_by=f"{_SCORING}.sequence_cloze:SequenceCloze",
        trained_by=f"{_LOSSES}:cloze_input",
        words_read="as written",
        asked_at="left",
        windowed=True,
        bare=True,
    ),
    ObjectiveFacts(
        "clm_mlm_head",
        CAUSAL,
        "for GRADIENDs trained through a mask head; scored as the next token",
        scored_by=f"{_SCORING}.causal:ClmNextToken",
        not_trained="Training with the auxiliary head 'clm_mlm_head' is not here: train with 'clm_next_token' or "
        "'clm_sequence_cloze'. GRADIENDs trained with it are loaded and scored.",
        scored_as="clm_next_token",
        words_read="first piece",
        asked_at="left",
        token_boundary=True,
        said_there=True,
    ),
    ObjectiveFacts(
        "seq2seq_encoder_mlm",
        SEQ2SEQ,
        "the mask, read at the encoder",
        scored_by=f"{_SCORING}.seq2seq_encoder_mlm:Seq2SeqEncoderMlm",
        trained_by=f"{_LOSSES}:encoder_mask_input",
        usual=True,
        words_read="first piece",
        token_boundary=True,
        said_there=True,
        at_encoder=True,
    ),
    ObjectiveFacts(
        "seq2seq_decoder",
        SEQ2SEQ,
        "what the decoder says, experimental",
        scored_by=f"{_SCORING}.seq2seq_decoder:Seq2SeqDecoder",
        trained_by=f"{_LOSSES}:decoder_input",
        words_read="as written",
        asked_at="decoder",
        windowed=True,
    ),
    ObjectiveFacts(
        "seq2seq_decoder_sequence_cloze",
        SEQ2SEQ,
        "what the decoder says between sentinels, experimental",
        scored_by=f"{_SCORING}.seq2seq_decoder:Seq2SeqDecoder",
        trained_by=f"{_LOSSES}:decoder_cloze_input",
        words_read="as written",
        asked_at="decoder",
        windowed=True,
        between_sentinels=True,
    ),
):
    OBJECTIVES.add(_facts.name, _facts)
