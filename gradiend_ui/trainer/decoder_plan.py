"""From a trainer's data and a call of `evaluate_decoder` to the plan of a sweep.

Chooses rows, targets and neutral texts as the `gradiend` package does; scores nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from gradiend_ui.engine.data.forms.choice import evaluation_rows
from gradiend_ui.engine.data.forms.sources import neutral_with_notes
from gradiend_ui.engine.data.forms.unified import UnifiedData
from gradiend_ui.engine.data.neutral_texts import capped_neutral, texts_from_rows
from gradiend_ui.engine.data.rows import EvalRow
from gradiend_ui.engine.data.spelling import same_class
from gradiend_ui.engine.errors import BadData, BadGrid, items_of, shown
from gradiend_ui.engine.model import ModelWithGradiend
from gradiend_ui.engine.scoring.own_tables import filled_texts, names_labels, own_rows, tell_notes, tell_other_classes
from gradiend_ui.engine.scoring.targets import ClassTargets, by_known_class, ignored_ids, resolve_targets
from gradiend_ui.engine.selection.winner import strengthening_feature_factors, told_apart
from gradiend_ui.engine.sweep.plan import PreparedSweep, plan_sweep
from gradiend_ui.engine.sweep.spec import SweepSpec
from gradiend_ui.engine.values import BOTH_SIGNS, DEFAULT_LEARNING_RATES, Grid
from gradiend_ui.trainer.arguments import TrainingArguments, check_whole
from gradiend_ui.trainer.config import TextPredictionConfig

Split = str | Sequence[str]


@dataclass(frozen=True)
class Frames:
    """Rows and neutral texts that a call brings itself, in place of the trainer's; None: the trainer's."""

    training_like: pd.DataFrame | None = None
    neutral: pd.DataFrame | Sequence[str] | None = None


@dataclass(frozen=True)
class Request:
    """One call of `evaluate_decoder`, checked. None: the defaults, of the grid or of the data."""

    goal: str
    asked: tuple[str, ...]
    feature_factors: tuple[float, ...] | None = None
    learning_rates: tuple[float, ...] | None = None
    part: str = "decoder"
    split: Split = "test"
    max_rows: int | None = None
    max_neutral: int | None = None
    every_dataset: bool = False
    eval_batch_size: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which `Request(**...)` makes an equal request."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in content.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Request:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return cls(**values)


@dataclass(frozen=True)
class DecoderData:
    """What a trainer scores its decoder on.

    strengthening: {class: feature factor}, for the target classes; max_rows, eval_batch_size: where the request has
    none; add_identity: rows of other classes stand beside the target classes' rows where these give the neutral texts;
    token_boundary: of next-token scoring. told: sentences that were logged before.
    """

    model: ModelWithGradiend
    unified: UnifiedData
    classes: tuple[str, ...]
    strengthening: Mapping[str, float]
    config: TextPredictionConfig
    seed: int = 0
    max_rows: int | None = None
    eval_batch_size: int = 32
    add_identity: bool = False
    token_boundary: str = "reference"
    told: set[str] = field(default_factory=set, compare=False, repr=False)

    @cached_property
    def targets(self) -> ClassTargets:
        """The words of each scored class, from the configuration or from all rows of the data.

        Raises BadData when a class is not in the data or has no word.
        """
        given = self.config.decoder_eval_targets
        known = dict.fromkeys((*self.classes, *self.unified.all_classes))
        names: tuple[str, ...] = self.classes
        if isinstance(given, Mapping):
            given = by_known_class("decoder_eval_targets", given, known)
            unknown = [name for name in given if name not in known]
            if unknown:
                raise BadData(
                    f"decoder_eval_targets names the class {unknown[0]!r}, which is not in the data. "
                    f"Classes: {', '.join(known)}."
                )
            restrict = self.config.decoder_eval_restrict_to_target_classes
            names = tuple(name for name in given if not restrict or name in self.classes)
            missing = [name for name in self.classes if name not in given]
            if missing:
                raise BadData(f"decoder_eval_targets gives no tokens for the class {missing[0]!r}.")
            for name in names:
                _require_words(name, given[name])
        elif given not in (None, "label"):
            raise BadData(f"decoder_eval_targets must be None, 'label' or {{class: [tokens]}}, not {given!r}.")
        return resolve_targets(self._rows_with_words(names), names, given)

    def _rows_with_words(self, names: Sequence[str]) -> Sequence[EvalRow]:
        """All rows, and those of class tables that no transition uses, for classes that have no row otherwise."""
        rows = self.unified.rows
        present = {row.label_class for row in rows} | {row.alternative_class for row in rows}
        extra = [row for name in names if name not in present for row in self.unified.neutral_rows.get(name, ())]
        return [*rows, *extra]

    def grid(self, request: Request) -> Grid:
        """The grid of the request, with the feature factors that its goal needs where none are given."""
        if self.model.gradiend.latent_dim > 1:
            raise BadGrid(
                f"A sweep has one feature factor per cell; this GRADIEND has {self.model.gradiend.latent_dim} latents. "
                "Use get_model().rewrite_base_model(learning_rate, [one factor per latent])."
            )
        spec = self._spec(request)
        return spec.grid(spec.feature_factors or self.default_feature_factors(request))

    def default_feature_factors(self, request: Request) -> tuple[float, ...]:
        """Strengthen: those of the asked classes; weaken: those of the other classes. In class order; both signs where
        a direction is not known."""
        weaken = request.goal == "weaken"
        if any(name not in self.strengthening for name in (self.classes if weaken else request.asked)):
            return BOTH_SIGNS
        names = [o for name in request.asked for o in self.classes if o != name] if weaken else request.asked
        return tuple(dict.fromkeys(self.strengthening[name] for name in names))

    def plan(self, request: Request, frames: Frames | None = None) -> PreparedSweep:
        """The sweep that answers the request: the rows the goal needs, and the LMS."""
        frames = frames or Frames()
        all_rows = self._rows(request, frames)
        needed = self._datasets(request)
        rows = [row for row in all_rows if row.label_class in needed] or all_rows
        texts, ignored = self._texts(request, frames, all_rows, rows)
        return plan_sweep(
            self.model,
            self._spec(request),
            self.grid(request),
            rows,
            self.targets,
            texts,
            ignored,
            texts_are_rows=self.config.eval_neutral_data is None and frames.neutral is None,
            texts_per_chunk=request.eval_batch_size or self.eval_batch_size,
        )

    def plan_of_other_datasets(self, request: Request, frames: Frames | None = None) -> PreparedSweep | None:
        """The rows that `plan` leaves out, probabilities only; None when there are none."""
        all_rows = self._rows(request, frames or Frames())
        needed = self._datasets(request)
        others = [row for row in all_rows if row.label_class not in needed and row.label_class in self.classes]
        if not others or len(others) == len(all_rows):
            return None
        return plan_sweep(self.model, self._spec(request), self.grid(request), others, self.targets, ())

    def _spec(self, request: Request) -> SweepSpec:
        """The request as every sweep is asked for; rows and texts are chosen here, as the reference does."""
        return SweepSpec.of(
            {
                "target_classes": request.asked,
                "goal": request.goal,
                "feature_factors": request.feature_factors,
                "learning_rates": request.learning_rates or DEFAULT_LEARNING_RATES,
                "part": request.part,
                "token_boundary": self.token_boundary,
            }
        )

    def _datasets(self, request: Request) -> frozenset[str]:
        """Label classes whose rows the goal reads."""
        if request.every_dataset or (request.goal == "strengthen" and not self.config.decoder_eval_prob_on_other_class):
            return frozenset(self.classes)
        if request.goal == "weaken":
            return frozenset(request.asked)
        return frozenset(other for name in request.asked for other in self.classes if other != name)

    def _rows(self, request: Request, frames: Frames) -> Sequence[EvalRow]:
        if frames.training_like is not None:
            return own_rows(frames.training_like, self.targets)
        return evaluation_rows(
            self._directed(),
            request.split,
            max_size=self.max_rows if request.max_rows is None else request.max_rows,
            seed=self.seed,
            add_identity=self.add_identity,
        )

    def _directed(self) -> UnifiedData:
        return replace(self.unified, target_classes=self.classes)

    def _texts(
        self, request: Request, frames: Frames, all_rows: Sequence[EvalRow], rows: Sequence[EvalRow]
    ) -> tuple[tuple[str, ...], frozenset[int]]:
        """The texts of the LMS and the ids it leaves out: none of them where neutral data is configured."""
        configured = self.config.eval_neutral_data
        mask_token = self.model.tokenizer.mask_token
        if frames.neutral is not None:
            texts = filled_texts(frames.neutral, mask_token)[: request.max_neutral]
        elif configured is not None:
            found = neutral_with_notes(configured, max_rows=self.config.eval_neutral_max_rows)
            tell_notes("eval_neutral_data", found.notes, self.told)
            texts = capped_neutral(found.texts, request.max_neutral, self.seed)
        else:
            own = frames.training_like is None or names_labels(frames.training_like)
            texts = texts_from_rows(all_rows, mask_token if own else None)[: request.max_neutral]
        words = self.config.decoder_eval_ignore_tokens
        if words is None and configured is None:
            spoken = {word for row in rows for word in (row.label, row.alternative)}
            named = self.targets.words
            words = sorted(spoken if named is None else {word for group in named.values() for word in group})
        return texts, ignored_ids(self.model.tokenizer, words or ())


def decoder_data(
    model: ModelWithGradiend,
    unified: UnifiedData,
    classes: tuple[str, ...],
    config: TextPredictionConfig,
    args: TrainingArguments,
    token_boundary: str,
    told: set[str],
) -> DecoderData:
    """What a trainer with this model, data and settings scores its decoder on. told: what it has logged before."""
    direction = {same_class(name, classes): sign for name, sign in model.encoding_direction.items()}
    strengthening = strengthening_feature_factors(direction, model.source)
    if not told_apart(strengthening):
        strengthening = {}
    if config.target_classes and len(classes) == 2:
        ordered = strengthening_feature_factors({classes[0]: 1.0, classes[1]: -1.0}, model.source) | strengthening
        strengthening = ordered if told_apart(ordered) else strengthening
    return DecoderData(
        model=model,
        unified=unified,
        classes=classes,
        strengthening={name: strengthening[name] for name in classes if name in strengthening},
        config=config,
        seed=args.seed or 0,
        max_rows=args.train_max_size,
        eval_batch_size=args.eval_batch_size,
        add_identity=args.add_identity_for_other_classes,
        token_boundary=token_boundary,
        told=told,
    )


def tell_unknown_classes(
    model: ModelWithGradiend, unified: UnifiedData, classes: Sequence[str], told: set[str]
) -> None:
    """Log what the data names that the GRADIEND does not know: rows that it leaves out, or classes that it scores."""
    known = model.checkpoint.known_classes
    if not unified.target_classes:
        tell_other_classes(unified.loaded, classes, "that the GRADIEND does not know", told)
    unknown = [name for name in classes if name not in known]
    if known and unknown:
        sentence = (
            f"The GRADIEND does not know {', '.join(unknown)} (it knows {', '.join(known)}): where these are its "
            "classes under other names, say so with class_merge_map={its class: [the data's]} (in the API: count_as)."
        )
        tell_notes("The data", (sentence,), told)


def check_decoder_call(
    counts: Mapping[str, object], split: object, selector: object, *, use_cache: object, plot: object, show: object
) -> None:
    """Raises BadGrid or BadData for an argument of `evaluate_decoder` that is not of its kind."""
    for name, value in counts.items():
        check_whole(name, value, 1, optional=True)
    check_split(split)
    _yes_or_no("use_cache", False if use_cache is None else use_cache)
    if selector is not None and not callable(getattr(selector, "select", None)):
        raise BadGrid(f"selector must be a policy with a method select, not {selector!r}.")
    _yes_or_no("plot", plot)
    _yes_or_no("show", False if show is None else show)


def check_split(split: object) -> None:
    if not isinstance(split, str) and not (isinstance(split, Sequence) and all(isinstance(s, str) for s in split)):
        raise BadData(f"split must be the name of a split, several, or 'all', not {split!r}.")


def goal_of(increase: object) -> str:
    return "strengthen" if _yes_or_no("increase_target_probabilities", increase) else "weaken"


def _yes_or_no(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise BadGrid(f"{name} must be True or False, not {shown(value)}.")
    return bool(value)


def asked_classes(target_class: Any, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes that a call asks for: one, several, or for None all. Raises BadData for one that is no class."""
    given = (target_class,) if isinstance(target_class, str) else class_names(target_class) or tuple(classes)
    names = tuple(same_class(name, classes) for name in given)
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise BadData(f"target_class {unknown[0]!r} must be one of {', '.join(classes)}.")
    return names


def class_names(given: Any) -> tuple[str, ...]:
    """Several classes as a list, tuple, array or series of names; () for None."""
    if given is None:
        return ()
    names = (given,) if isinstance(given, str) else items_of(given) or (given,)
    if not all(isinstance(name, str) for name in names):
        raise BadData(f"target_class must be a class name or a list of them, not {given!r}.")
    return names


def decoder_request(
    args: TrainingArguments,
    config: TextPredictionConfig,
    classes: Sequence[str],
    counts: Mapping[str, int | None],
    *,
    increase: object,
    target_class: Any,
    feature_factors: Any,
    learning_rates: Any,
    split: Split,
    part: str,
    every_dataset: bool,
) -> Request:
    """The call of `evaluate_decoder`, checked; what it leaves open is as configured. counts: its arguments by name."""
    both, samples = counts["max_size"], config.decoder_eval_lms_max_samples
    rows, texts = counts["max_size_training_like"], counts["max_size_neutral"]
    return Request(
        goal=goal_of(increase),
        asked=asked_classes(target_class, classes),
        feature_factors=_axis("feature_factors", _first_given(feature_factors, args.decoder_eval_feature_factors)),
        learning_rates=_axis("lrs", _first_given(learning_rates, args.decoder_eval_lrs)),
        part=part,
        split=split if isinstance(split, str) else tuple(split),
        max_rows=_first_given(rows, both, args.decoder_eval_max_size_training_like, samples),
        max_neutral=_first_given(texts, both, args.decoder_eval_max_size_neutral, samples),
        every_dataset=every_dataset,
        eval_batch_size=counts["eval_batch_size"],
    )


def _first_given(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _axis(name: str, values: Any) -> tuple[float, ...] | None:
    """The values as given, arrays as plain numbers, None for a default. Their range is checked with the grid."""
    if values is None:
        return None
    plain = values.tolist() if isinstance(values, (np.ndarray, torch.Tensor)) else values
    if isinstance(plain, str) or not isinstance(plain, Iterable):
        raise BadGrid(f"{name} must be a list of numbers, not {values!r}.")
    found = tuple(value.item() if isinstance(value, np.generic) else value for value in plain)
    if not found:
        raise BadGrid(f"{name} is empty: give at least one number, or leave it out for the default.")
    return found


def _require_words(name: str, words: Any) -> None:
    listed = isinstance(words, Sequence) and not isinstance(words, str)
    if not listed or not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise BadData(f"decoder_eval_targets[{name!r}] must be a list of words, such as ['he'], not {words!r}.")
