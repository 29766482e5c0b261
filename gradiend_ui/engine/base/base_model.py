"""A loaded base model with its tokenizer: what it is, how it is scored, and how it reads a text.

The kind of a model (masked, causal, encoder-decoder) comes from its configuration, and with it the objectives that it
can be scored by. Knows what objectives need, not what they compute, and not where models lie.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import torch

from gradiend_ui.engine.base.chat_prompt import in_chat_prompt
from gradiend_ui.engine.base.kinds import AUTO_CLASSES, kinds_of, name_of
from gradiend_ui.engine.base.objectives import (
    AUTO,
    CAUSAL,
    KIND_WORDS,
    Kind,
    ObjectiveFacts,
    objective_named,
    objectives_of,
)
from gradiend_ui.engine.base.trouble import panics_told
from gradiend_ui.engine.errors import BadBase, BadData, is_broken, shown
from gradiend_ui.engine.uploads.request_limits import encoded, encoded_in_turn
from gradiend_ui.engine.uploads.tokenizer import SPARE_IDS

Model = Any  # a transformers PreTrainedModel
Tokenizer = Any  # a transformers tokenizer
DeviceMap: TypeAlias = "str | Mapping[str, int | str]"
REFERENCE_MAX_LENGTH = 512
WHOLE_RIGHT_CONTEXT = -1


@dataclass(frozen=True)
class BaseModel:
    """A loaded base model: never modified after loading.

    objective: how it is scored, one of `objective_names` ("clm_mlm_head" has become "clm_next_token" here).
    rhs_window: tokens right of the mask that the cloze objectives see; -1 is all of them.
    chat_prompt: whether texts are put into a chat prompt before they are scored.
    """

    model: Model
    tokenizer: Tokenizer
    objective: str
    name: str
    rhs_window: int = WHOLE_RIGHT_CONTEXT
    chat_prompt: bool = False

    @property
    def facts(self) -> ObjectiveFacts:
        """What its objective is."""
        return objective_named(self.objective)

    @property
    def kind(self) -> Kind:
        """ "masked", "causal" or "seq2seq"."""
        return self.facts.kind

    @cached_property
    def two_boundaries(self) -> bool:
        """Whether the two readings of a word's beginning differ, see `scoring.token_boundary`: its vocabulary must mark
        words; a causal one reads its texts differently, too."""
        return self.facts.token_boundary and (self.kind == CAUSAL or marked_words(self.tokenizer) != "")

    @property
    def auto_class(self) -> str:
        """The name of the class of `transformers` that loads this model."""
        return str(AUTO_CLASSES[self.kind].__name__)

    @cached_property
    def knows_too_much(self) -> bool:
        """Whether its tokenizer has tokens beyond the model's embedding: words that the model was not grown for."""
        known = embedding_rows(self.model)
        return known is not None and vocabulary_size(self.tokenizer) > known

    @cached_property
    def positions(self) -> int | None:
        """The longest input in tokens that the model takes; None when nothing limits it."""
        return positions_of(self.model)

    @property
    def max_length(self) -> int:
        """The longest input in tokens that is scored."""
        return REFERENCE_MAX_LENGTH if self.positions is None else min(REFERENCE_MAX_LENGTH, self.positions)

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def pad_id(self) -> int:
        """What fills up shorter rows of a batch: for causal models the end token, even beside a padding token of their
        own (the reference's rule; its next-token numbers depend on it)."""
        end = self.tokenizer.eos_token_id
        own = self.tokenizer.pad_token_id
        return int((end if self.kind == CAUSAL and end is not None else own) or 0)

    def encode(self, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
        """The token ids of each text as the model reads it: with special tokens or in its chat prompt, cut off after
        `max_length` tokens on the tokenizer's truncation side. Raises BadData, BadBase; TooLarge where its time is
        limited (see `uploads.limits`)."""
        if not texts:
            return []
        if any(map(is_broken, texts)):
            raise BadData("A text holds half a character (a lone surrogate), which no model reads: type it again.")
        prepared = [in_chat_prompt(text) for text in texts] if self.chat_prompt else list(texts)
        ids = encoded_in_turn(prepared, lambda part: self._ids(part, max_length))
        self._check_known(max((max(row) for row in ids if row), default=0))
        return ids

    def _ids(self, texts: Sequence[str], max_length: int | None) -> list[list[int]]:
        try:
            with panics_told():
                encoded = self.tokenizer(
                    list(texts),
                    add_special_tokens=not self.chat_prompt,
                    truncation=max_length is not None,
                    max_length=max_length,
                )
        except Exception as error:  # tokenizers raises plain Exceptions for a vocabulary that contradicts itself
            raise BadBase(f"The tokenizer of {self.name!r} failed: {str(error)[:200]}.") from error
        ids: list[list[int]] = encoded["input_ids"]
        return ids

    def _check_known(self, highest: int) -> None:
        """Raises BadBase for a token id beyond the model's embedding: the tokenizer belongs to another model."""
        known = embedding_rows(self.model)
        if known is not None and highest >= known:
            raise BadBase(
                f"A text holds {shown(self.tokenizer.convert_ids_to_tokens(highest))}, the token {highest:,} of the "
                f"tokenizer, and the base model {self.name!r} knows {known:,} tokens: take the text out, or give the "
                "base model with its own tokenizer."
            )

    def fingerprint(self) -> str:
        """sha256 over every weight, the vocabulary and the configuration: equal only for equal numbers.

        The same wherever the model lies: an upload's is that of the user's own copy.
        """
        return self.fingerprints()[0]

    def fingerprints(self) -> tuple[str, str]:
        """The fingerprint, and as versions before this one spelled it: with the place that it was loaded from."""
        digest = hashlib.sha256(self.objective.encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        former = digest.copy()
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        words = backend.to_str() if backend is not None else str(sorted(self.tokenizer.get_vocab()))
        settings = self.model.config.to_json_string(use_diff=False)
        sides = f"{self.tokenizer.padding_side}{self.tokenizer.truncation_side}"
        prompt = in_chat_prompt("") if self.chat_prompt else ""
        former.update(f"{settings}{words}{sides}{prompt}".encode())
        if backend is not None:  # without the cutting and filling of the last call
            words = _sorted({**json.loads(words), "truncation": None, "padding": None})
        digest.update(f"{_sorted(_without_place(json.loads(settings)))}{words}{sides}{prompt}".encode())
        return digest.hexdigest(), former.hexdigest()


def _sorted(content: Any) -> str:
    return json.dumps(content, sort_keys=True)


def _without_place(settings: Any) -> Any:
    """The settings of a model, and of the models in it, without the place that they were loaded from."""
    if not isinstance(settings, dict):
        return settings
    return {key: _without_place(value) for key, value in settings.items() if key != "_name_or_path"}


def base_around(
    model: Model,
    tokenizer: Tokenizer,
    objective: str = "auto",
    *,
    name: str | None = None,
    rhs_window: int = WHOLE_RIGHT_CONTEXT,
    chat_prompt: bool = False,
) -> BaseModel:
    """A base model from a loaded transformers model and tokenizer; the model is set to evaluation, without gradients.

    Raises BadBase when the objective does not fit the model or the tokenizer has nothing to mark the mask with.
    """
    own_name = name or name_of(model.name_or_path or type(model).__name__)
    scored_by = chosen_objective(model.config, own_name, objective)
    needs_mask = objective_named(scored_by).needs_mask
    if needs_mask and tokenizer.mask_token_id is None:
        raise BadBase(f"The tokenizer of {own_name!r} has no mask token: masked scoring is impossible.")
    rows = embedding_rows(model)
    special = [one for one in (tokenizer.mask_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) if one]
    foreign = rows is not None and vocabulary_size(tokenizer) > rows + SPARE_IDS
    if rows is not None and (foreign or (needs_mask and max(special, default=0) >= rows)):
        raise BadBase(f"The tokenizer of {own_name!r} belongs to another model: it knows more than {rows:,} tokens.")
    if isinstance(rhs_window, bool) or not isinstance(rhs_window, int):
        raise BadBase(f"rhs_window must be a whole number of tokens, -1 for all of them, not {shown(rhs_window)}.")
    model.eval()
    model.requires_grad_(False)
    return BaseModel(model, tokenizer, scored_by, own_name, rhs_window, chat_prompt)


def chosen_objective(config: Any, location: str, asked: str = AUTO) -> str:
    """How a model is scored: `asked` where it fits the kind of the model, its first objective for "auto".

    "clm_mlm_head" is scored as "clm_next_token". Raises BadBase with the choices that fit.
    """
    wanted = None if asked == AUTO else objective_named(asked)
    kind, *more = kinds_of(config, location)
    fitting = objectives_of(kind)
    if wanted is None:
        return fitting[0].name
    if wanted.kind not in (kind, *more):
        choices = ", ".join(f"{facts.name!r} ({facts.about})" for facts in fitting)
        raise BadBase(
            f"The prediction objective {shown(asked)} needs {KIND_WORDS[wanted.kind]} language model, and "
            f"{name_of(location)!r} is {KIND_WORDS[kind]} one. Choose 'auto' or {choices}."
        )
    return wanted.scored_as or wanted.name


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """One more than the highest token id that the tokenizer can give."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


WORD_START_MARKS = ("Ġ", "▁")
WORD_END_MARK = "</w>"
WordMarks = Literal["", "from the start", "between words", "everywhere"]


def marked_words(tokenizer: Tokenizer) -> WordMarks:
    """Whether a vocabulary tells a whole word from a part of one by a mark at its beginning or end.

    "from the start": every word but one that is glued to the text before it (SentencePiece); "between words": a word
    behind a space (byte-level BPE); "everywhere": by the mark at its end; "": it does not (WordPiece).
    """
    pieces: list[str] = encoded(lambda: tokenizer.tokenize("a a"))
    if any(piece.endswith(WORD_END_MARK) for piece in pieces):
        return "everywhere"
    if not any(piece.startswith(WORD_START_MARKS) for piece in pieces[1:]):
        return ""
    return "from the start" if pieces[0].startswith(WORD_START_MARKS) else "between words"


LENGTHS = ("max_position_embeddings", "max_encoder_position_embeddings", "max_target_positions", "max_seq_len")
"""How configurations call the longest input: most, LED's, Whisper's, MPT's."""


def positions_of(model: Model) -> int | None:
    """How many tokens a model reads at once; None when nothing limits it: T5 has no such number, XLNet's is -1.

    Of a model of images and texts it is the number of its language model. RoBERTa and its kin count from behind their
    padding, so that the first rows of their table stand for no token.
    """
    configs = (model.config, model.config.get_text_config())
    stated = next((getattr(one, name) for one in configs for name in LENGTHS if hasattr(one, name)), None)
    if not isinstance(stated, (int, float)) or stated <= 0:
        return None
    tables = (vars(module) for name, module in model.named_modules() if name.endswith("position_embeddings"))
    paddings = [table["padding_idx"] for table in tables if isinstance(table.get("padding_idx"), int)]
    return int(stated) - (paddings[0] + 1 if paddings else 0)


def embedding_rows(model: Model) -> int | None:
    """How many tokens the model's embedding knows; None where it has none of the usual kind."""
    weight = getattr(model.get_input_embeddings(), "weight", None)
    return int(weight.shape[0]) if isinstance(weight, torch.Tensor) else None
