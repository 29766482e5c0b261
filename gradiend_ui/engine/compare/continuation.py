"""How a model goes on from a text: greedy, the most probable token each time, the same every time.

Causal models continue the text, encoder-decoder models answer it. No sampling, no penalties, nothing of a model's own
generation settings but its end tokens. Knows weights and tokens; no cells and no sentences of a page.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import torch
from torch import Tensor

from gradiend_ui.engine.base.base_model import BaseModel, Model
from gradiend_ui.engine.base.objectives import SEQ2SEQ
from gradiend_ui.engine.scoring.objectives.seq2seq_decoder import decoder_start
from gradiend_ui.engine.scoring.readout import padded, running

Steps = Generator[Tensor, Tensor, None]
UNFINISHED = "\ufffd"
CONTEXT = 8
"""Tokens before a continuation that are decoded with it, so that its first space is not lost."""


@dataclass(frozen=True)
class Continuation:
    """ids: what the model adds, without its end token. ended: it said its end token.

    broken: its numbers were not finite, so it says nothing more.
    """

    ids: tuple[int, ...]
    ended: bool = False
    broken: bool = False


def continue_texts(
    base: BaseModel, weights: Model, prompts: Sequence[Sequence[int]], length: int
) -> list[Continuation]:
    """At most `length` tokens behind each prompt, by `weights` of the same architecture as `base`.

    A continuation ends early at an end token, at the model's last position, and where a number is not finite.
    """
    found: dict[int, Continuation] = {}
    for places in _groups(base, weights, prompts):
        with running(weights):
            said = _continue_group(base, weights, [list(prompts[place]) for place in places], length)
        found |= dict(zip(places, said, strict=True))
    return [found[place] for place in range(len(prompts))]


def _groups(base: BaseModel, weights: Model, prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Prompts that run together: all of them where padding on the left changes nothing, else those of one length."""
    if base.kind == SEQ2SEQ or "position_ids" in _arguments(weights):
        yield list(range(len(prompts)))
        return
    for size in sorted({len(prompt) for prompt in prompts}):
        yield [place for place, prompt in enumerate(prompts) if len(prompt) == size]


def _arguments(weights: Model) -> set[str]:
    return set(inspect.signature(weights.forward).parameters)


@torch.inference_mode()
def _continue_group(base: BaseModel, weights: Model, prompts: list[list[int]], length: int) -> list[Continuation]:
    steps = _answered(base, weights, prompts) if base.kind == SEQ2SEQ else _continued(base, weights, prompts)
    ends = torch.tensor(sorted(end_tokens(base)), dtype=torch.int64)
    room = [_room(base, prompt, length) for prompt in prompts]
    said: list[list[int]] = [[] for _ in prompts]
    ended, broken = [False] * len(prompts), [False] * len(prompts)
    logits = next(steps)
    while True:
        spoken = torch.nan_to_num(logits, nan=-torch.inf).argmax(dim=-1)
        finite = ~torch.isnan(logits).any(dim=-1) & torch.isfinite(logits).any(dim=-1)
        for row, token in enumerate(spoken.tolist()):
            if ended[row] or broken[row] or len(said[row]) >= room[row]:
                continue
            broken[row] = not bool(finite[row])
            ended[row] = not broken[row] and bool((ends == token).any())
            if not (broken[row] or ended[row]):
                said[row].append(token)
        if all(e or b or len(s) >= r for e, b, s, r in zip(ended, broken, said, room, strict=True)):
            return [Continuation(tuple(s), e, b) for s, e, b in zip(said, ended, broken, strict=True)]
        logits = steps.send(spoken)


def _room(base: BaseModel, prompt: list[int], length: int) -> int:
    """Tokens that may follow: a decoder starts anew, a causal model has the prompt in its window."""
    used = 1 if base.kind == SEQ2SEQ else len(prompt)
    return length if base.positions is None else max(0, min(length, base.positions - used))


def _continued(base: BaseModel, weights: Model, prompts: list[list[int]]) -> Steps:
    """Yields logits (prompts, vocabulary) on the CPU; is sent the tokens that were taken, (prompts,).

    A model without a cache of the past reads everything again in each step.
    """
    takes = _arguments(weights)
    ids, mask = (tensor.to(weights.device) for tensor in padded(prompts, base.pad_id, side="left"))
    last = None if base.positions is None else base.positions - 1
    unread, more = ids, dict[str, Any]()
    while True:
        if "position_ids" in takes:
            more["position_ids"] = _positions(mask, last)[:, -unread.shape[1] :]
        answer = weights(input_ids=unread, attention_mask=mask, **more)
        spoken = yield answer.logits[:, -1].float().cpu()
        new = spoken.to(weights.device).unsqueeze(1)
        ids, mask = torch.cat([ids, new], dim=1), torch.cat([mask, torch.ones_like(new)], dim=1)
        unread = ids
        if "past_key_values" in takes and answer.past_key_values is not None:
            unread, more["past_key_values"] = new, answer.past_key_values


def _answered(base: BaseModel, weights: Model, prompts: list[list[int]]) -> Steps:
    """The same for an encoder-decoder model: the encoder reads once, the decoder starts with its start token."""
    ids, mask = (tensor.to(weights.device) for tensor in padded(prompts, base.pad_id))
    read = weights.get_encoder()(input_ids=ids, attention_mask=mask)
    said, past = torch.full((len(prompts), 1), decoder_start(base), device=weights.device), None
    while True:
        answer = weights(
            encoder_outputs=read,
            attention_mask=mask,
            decoder_input_ids=said,
            past_key_values=past,
            use_cache=True,
        )
        past = answer.past_key_values
        spoken = yield answer.logits[:, -1].float().cpu()
        said = spoken.to(weights.device).unsqueeze(1)


def _positions(mask: Tensor, last: int | None) -> Tensor:
    """The position of every token of left-padded rows; rows that are full stay at the last one and are not read."""
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    return positions if last is None else positions.clamp(max=last)


def end_tokens(base: BaseModel) -> set[int]:
    """The ids that end a text, as the model's generation settings or its tokenizer say."""
    settings = getattr(base.model, "generation_config", None)
    stated = None if settings is None else settings.eos_token_id
    own = stated if isinstance(stated, list) else [stated, base.tokenizer.eos_token_id]
    return {int(token) for token in own if token is not None}


# --- how it reads ----------------------------------------------------------------------------------------------------


def changed_tokens(base: Sequence[int], here: Sequence[int]) -> list[bool]:
    """For each token of `here` whether it is changed or new when both continuations are laid side by side."""
    changed = [True] * len(here)
    for block in SequenceMatcher(None, list(base), list(here), autojunk=False).get_matching_blocks():
        changed[block.b : block.b + block.size] = [False] * block.size
    return changed


def spelled_pieces(tokenizer: Any, prompt: Sequence[int], said: Sequence[int]) -> list[str]:
    """The text that each token adds behind the prompt; one that ends inside of a letter adds it with its last part."""
    before = list(prompt[-CONTEXT:])
    shown, pieces = _decoded(tokenizer, before), []
    for count in range(1, len(said) + 1):
        text = _decoded(tokenizer, before + list(said[:count]))
        held = text.endswith(UNFINISHED) and count < len(said)
        pieces.append("" if held else text[len(shown) :])
        shown = shown if held else text
    return pieces


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text
