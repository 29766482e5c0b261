"""Step base: masked-language-model training of the small BERT, in bfloat16 with float32 master weights.

Every step draws from a generator of its own number, so that a training that was stopped goes on as if it had not been.
Knows segments and a model; knows no files but its own state.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertForMaskedLM

from assets.demo.build.corpus import TEMPLATES, Segment, batches
from assets.demo.build.recipe import Recipe

SHARES = {TEMPLATES: 0.5}
PRONOUN_FORMS = ("he", "she", "him", "her", "his", "hers", "himself", "herself")
SPECIALS = 5
SCORED = 0.15
SEED_STRIDE = 1_000_003
MASKED = 0.8
LOWEST_RATE = 0.02
SAVE_EVERY = 400
SAY_EVERY = 200
CLIP = 1.0


@dataclass(frozen=True)
class Pieces:
    """Ids that the masking needs; names: the first names of each gender."""

    size: int
    cls: int
    sep: int
    mask: int
    pronouns: tuple[int, ...]
    names: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, vocabulary: dict[str, int], names: Sequence[Sequence[str]]) -> Pieces:
        return cls(
            size=len(vocabulary),
            cls=vocabulary["[CLS]"],
            sep=vocabulary["[SEP]"],
            mask=vocabulary["[MASK]"],
            pronouns=tuple(vocabulary[form] for form in PRONOUN_FORMS if form in vocabulary),
            names=tuple(tuple(vocabulary[name] for name in lot) for lot in names),
        )


@dataclass(frozen=True)
class Batch:
    """inputs, attention: (texts, length); places: bool of the same shape; truth: (places,)."""

    inputs: Tensor
    attention: Tensor
    places: Tensor
    truth: Tensor


def masked_batch(
    items: Sequence[Segment], pieces: Pieces, recipe: Recipe, generator: torch.Generator, hidden: float = MASKED
) -> Batch:
    """A batch with some tokens asked for; of these 80 % are masked (`hidden`), half of the rest are other tokens."""
    ids = padded(items, pieces)
    if torch.rand((), generator=generator) < recipe.swap_names:
        ids = _swapped(ids, pieces, generator)
    chance = torch.full(ids.shape, recipe.mask)
    chance[torch.isin(ids, torch.tensor(pieces.pronouns))] = recipe.mask_pronouns
    chance[ids < SPECIALS] = 0.0
    places = torch.rand(ids.shape, generator=generator) < chance
    kind = torch.rand(ids.shape, generator=generator)
    inputs = ids.clone()
    inputs[places & (kind < hidden)] = pieces.mask
    noise = torch.randint(SPECIALS, pieces.size, ids.shape, generator=generator)
    replaced = places & (kind >= (1 + hidden) / 2)
    inputs[replaced] = noise[replaced]
    return Batch(inputs, (ids != 0).long(), places, ids[places])


def padded(items: Sequence[Segment], pieces: Pieces) -> Tensor:
    """Ids (texts, length) with [CLS] and [SEP]; 0 is padding."""
    ids = torch.zeros(len(items), max(len(item.ids) for item in items) + 2, dtype=torch.long)
    for row, item in enumerate(items):
        ids[row, : len(item.ids) + 2] = torch.tensor([pieces.cls, *item.ids, pieces.sep])
    return ids


def _swapped(ids: Tensor, pieces: Pieces, generator: torch.Generator) -> Tensor:
    """The same with the first names of each gender in other places."""
    new = torch.arange(pieces.size)
    for lot in pieces.names:
        members = torch.tensor(lot)
        new[members] = members[torch.randperm(len(lot), generator=generator)]
    return new[ids]


def logits_at(model: BertForMaskedLM, batch: Batch) -> Tensor:
    """Logits (places, vocabulary)."""
    hidden = model.bert(input_ids=batch.inputs, attention_mask=batch.attention).last_hidden_state
    logits: Tensor = model.cls(hidden[batch.places])
    return logits


def accuracy(
    model: BertForMaskedLM, items: Sequence[Segment], pieces: Pieces, recipe: Recipe, hidden: float = MASKED
) -> float:
    """Share of asked tokens said rightly: 15 % of every kind of token, the same draw each time.

    hidden: share of them that is masked; BERT's own measure, as in its training, is 80 %, with 10 % left as they are.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    plain = Recipe(seed=recipe.seed, mask=SCORED, mask_pronouns=SCORED, swap_names=0.0)
    ordered = sorted(items, key=lambda item: len(item.ids))
    right = asked = 0
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(ordered), 64):
            batch = masked_batch(ordered[start : start + 64], pieces, plain, generator, hidden)
            right += int((logits_at(model, batch).argmax(-1) == batch.truth).sum())
            asked += len(batch.truth)
    model.train(was_training)
    return right / asked


class MaskedTraining:
    """Trains a model in place for the recipe's steps; its state lies in `folder` until it is done.

    seconds: spent on it so far; earlier: of these, before it was stopped.
    """

    def __init__(self, model: BertForMaskedLM, pieces: Pieces, recipe: Recipe, folder: Path) -> None:
        self.model = model.to(torch.bfloat16).train()
        self._pieces, self._recipe = pieces, recipe
        self._file, self._about = folder / "training_state.pt", ""
        self._weights = list(model.parameters())
        self._masters = [weight.detach().float().clone().requires_grad_(True) for weight in self._weights]
        groups = [
            {"params": [master for master in self._masters if master.ndim > 1], "weight_decay": 0.01},
            {"params": [master for master in self._masters if master.ndim <= 1], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=recipe.peak_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)
        self.step, self.seconds, self.earlier = 0, 0.0, 0.0

    def run(self, items: Sequence[Segment], say: Callable[[str], None]) -> None:
        """Train to the end, from where a training of the same recipe and text was stopped. say: gets progress."""
        self._about = _fingerprint(items, self._pieces, self._recipe)
        self._resume()
        began, first, tokens, self.earlier = time.perf_counter(), self.step, 0, self.seconds
        for batch_items in self._from_here(items):
            loss, size = self._train_step(batch_items)
            tokens += size
            self.seconds = self.earlier + time.perf_counter() - began
            if self.step % SAY_EVERY == 0:
                seconds = time.perf_counter() - began
                left = (self._recipe.steps - self.step) * seconds / (self.step - first)
                say(
                    f"step {self.step:,} of {self._recipe.steps:,}, loss {loss:.3f}, "
                    f"{tokens / seconds:,.0f} tokens a second, {left / 60:.0f} min left"
                )
            if self.step % SAVE_EVERY == 0:
                self._save()
        self.model.float()
        with torch.no_grad():
            for weight, master in zip(self._weights, self._masters, strict=True):
                weight.copy_(master)
        self.model.eval()

    def forget(self) -> None:
        """Remove the kept state: the training is done and saved."""
        self._file.unlink(missing_ok=True)

    def _from_here(self, items: Sequence[Segment]) -> Iterator[list[Segment]]:
        """The batches from the current step on, round after round, up to the last step."""
        number = 0
        for epoch in range(self._recipe.steps):
            for batch_items in batches(
                items, self._recipe.step_tokens, SHARES, random.Random(f"{self._recipe.seed} {epoch}")
            ):
                if number >= self._recipe.steps:
                    return
                number += 1
                if number > self.step:
                    yield batch_items

    def _train_step(self, items: Sequence[Segment]) -> tuple[float, int]:
        """One step; gives its loss and its padded tokens."""
        recipe = self._recipe
        seed = recipe.seed * SEED_STRIDE + self.step
        torch.manual_seed(seed)
        batch = masked_batch(items, self._pieces, recipe, torch.Generator().manual_seed(seed))
        for group in self._optimizer.param_groups:
            group["lr"] = rate_at(self.step, recipe)
        loss = nn.functional.cross_entropy(logits_at(self.model, batch).float(), batch.truth)
        for weight in self._weights:
            weight.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        for weight, master in zip(self._weights, self._masters, strict=True):
            master.grad = None if weight.grad is None else weight.grad.float()
        nn.utils.clip_grad_norm_(self._masters, CLIP)
        self._optimizer.step()
        with torch.no_grad():
            for weight, master in zip(self._weights, self._masters, strict=True):
                weight.copy_(master)
        self.step += 1
        return float(loss.detach()), batch.inputs.numel()

    def _save(self) -> None:
        state: dict[str, Any] = {
            "about": self._about, "step": self.step, "seconds": self.seconds, "masters": self._masters,
            "optimizer": self._optimizer.state_dict(),
        }  # fmt: skip
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = self._file.with_suffix(".new")
        torch.save(state, written)
        written.replace(self._file)

    def _resume(self) -> None:
        """Take over the kept state of the very same training; any other is passed over."""
        if not self._file.is_file():
            return
        state = torch.load(self._file, weights_only=True)
        if state["about"] != self._about:
            return
        self.step, self.seconds = state["step"], state["seconds"]
        self._optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            for weight, master, saved in zip(self._weights, self._masters, state["masters"], strict=True):
                master.copy_(saved)
                weight.copy_(saved)


def rate_at(step: int, recipe: Recipe) -> float:
    """The learning rate of a step (from 0): up linearly, then half a cosine."""
    raised = min(1.0, (step + 1) / recipe.warm_up)
    return (
        recipe.peak_rate
        * raised
        * (LOWEST_RATE + (1 - LOWEST_RATE) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))
    )


def _fingerprint(items: Sequence[Segment], pieces: Pieces, recipe: Recipe) -> str:
    """Changes with everything a training depends on but its code."""
    digest = hashlib.sha256(json.dumps([asdict(recipe), asdict(pieces)]).encode())
    for item in items:
        digest.update(f"{item.source} {item.ids}".encode())
    return digest.hexdigest()
