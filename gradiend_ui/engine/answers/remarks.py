"""What is worth knowing of a model, its data or a sweep and refuses nothing: every warning, by a code.

A warning is a sentence wherever it goes: kept with a run, told by the API, shown on the page. `remark` makes it of its
template; a page, which has the same under `warnings.<code>` in each language, finds the code again by `recognised`.
Notes on how a table was read and refusals have texts of their own (`data/notes.py`, `errors.py`). Knows nothing else.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

REMARKS: Mapping[str, str] = MappingProxyType(
    {
        # a checkpoint's files
        "no_encoder_bias": "The encoder has no bias (architecture.bias_encoder): it counts as 0.",
        "dtype_unknown": "config.json: architecture.torch_dtype is {stated}, none of {known}: float32 is taken.",
        "format_version": "config.json has format_version {stated}, and {known} is known here: it is read as that.",
        "components": (
            "The GRADIEND has {count} components ({names}): here they are one direction with one strength, and a "
            "checkpoint saved from it has none."
        ),
        "components_many": (
            "The GRADIEND has {count} components ({names} and {more} more): here they are one direction with one "
            "strength, and a checkpoint saved from it has none."
        ),
        "file_ignored": "{why} It was ignored.",
        "source_assumed": "No file tells the source of the gradients: 'factual' is assumed.",
        "source_contradicted": "{first} says source {one}, {second} {other}: the latter counts.",
        "target_unknown": "{file} says target {stated}, and none of {known}: it stays so.",
        "twins_unseen": (
            "{place} holds weights twice, as {read} and as {other}: {taken} was read, and the other was not looked at."
        ),
        "twins_large": (
            "{place} holds weights twice, as {read} and as {other}: {taken} was read, and the two are too large to be "
            "compared."
        ),
        "twins_unread": (
            "{place} holds weights twice, as {read} and as {other}: {taken} was read; they could not be compared "
            "({why})"
        ),
        "twins_differ": (
            "{place} holds weights twice, as {read} and as {other}, and the two differ (at {tensor}): {taken} was "
            "read. Remove the wrong one."
        ),
        "gradiend_folder": "The GRADIEND's folder",
        "base_folder": "The base model's folder",
        # its directions
        "direction_no_sign": "{file} gives class {name} the direction {stated}, and not 1, -1 or 0: its sign counts.",
        "mean_no_number": "{file}: the mean of class {name} is {stated}, no number: it was left out.",
        "direction_open": (
            "{why} Both signs of the feature factor are swept until encoding_direction says which way each class lies."
        ),
        "direction_silent": "No file tells the direction of the classes.",
        "direction_stated_zero": "{file} gives no class the direction 1 or -1.",
        "direction_stated_one": "{file} gives only {classes} a direction ({sign}).",
        "direction_stated_same": "{file} gives {classes} the same direction, {sign}.",
        "direction_one_class": "{file} has the encoder's mean of one class only ({means}).",
        "direction_pair_unknown": (
            "{file} has the encoder's means of {count} classes and does not tell which two were trained."
        ),
        "direction_step_unknown": "{file} has no encoder means of its best step, {step}.",
        "direction_same_sign": "The encoder's means at the best step have the same sign ({means}; {file}).",
        "direction_zero_mean": (
            "The encoder's means at the best step do not lie on two sides of zero ({means}; {file})."
        ),
        "direction_contradicted": (
            "{file} says {told}; the encoder's means at the best step say otherwise ({means}; {other}). The former "
            "counts."
        ),
        "direction_from_training": "The direction of each class was taken from {file}: {other} has none.",
        "direction_from_middle": (
            "The direction of each class was read around the middle of the encoder's means ({means}; {file}): the run "
            "normalised it."
        ),
        # what lies beside it
        "not_recovered": "No rows were recovered from {file}: {why}",
        "not_recovered_large": "No rows were recovered from {file}: files over {most} MB are not read.",
        "recovered": "{count} rows recovered from {file}; the file may be capped or balanced.",
        "recovered_both": (
            "{count} rows and {texts} neutral texts recovered from {file}; the file may be capped or balanced."
        ),
        "table_unread": "A table was not read: {why}",
        "file_unread": "{file} was not read: {why}",
        "report_unread": "{file} was not read: {why}.",
        "sets_unread": "{file} was not read: neutral must map at most {most} names to files.",
        "table_note": "{file}: {note}",
        "data_unread": "The data beside the checkpoint was not read: {why}",
        "sweep_link": "The finished sweep was not read: {file} is a link that leads out of its folder.",
        "sweep_unread": "The finished sweep was not read: {why}",
        "no_rows": "No evaluation rows lie beside this checkpoint: give rows to start a sweep.",
        "rows_rejected": "{count} evaluation rows cannot be scored (first: row {row}: {reason}).",
        # an upload
        "tokenizer_aside": (
            "config.json: metadata.tokenizer is the path of a folder {name} on the machine that packed the upload. It "
            "was left aside: the tokenizer of the base model in the upload is read."
        ),
        "head_aside": (
            "{file} in {name} names its base model by a path of the machine that packed the upload. It was left aside: "
            "the model in {other}, beside it in the upload, is read."
        ),
        "files_left": "Left in the zip unread, as it is not needed here: {names}.",
        "fields_left": "{file}: left out, as it is not needed here: {names}.",
        # a sweep
        "chat_prompt": (
            "Every text is put into a chat prompt before it is scored, as gradiend 0.2.3 does where the base model's "
            "path or name holds 'instruct'. Load it with chat_prompt=False (also an option of /load) to score the bare "
            "texts."
        ),
        "no_neutral": "No neutral texts: the LMS is measured on the evaluation rows, target tokens left out.",
        "row_wise": ("Classes share a target token, or targets is 'label': each row is scored by its own two tokens."),
        "behind_limit": "{count} of {rows} rows score nothing: their mask lies behind the length limit.",
        "nothing_left": "{count} of {rows} rows score nothing: their mask lies without text to its left.",
        "cloze_left": (
            "{count} of {rows} rows score nothing: they have no text left of [MASK] or are longer than the model."
        ),
        "zero_behind_limit": "{count} of {rows} rows count as probability 0: their mask lies behind the length limit.",
        "experimental": "{name} is experimental: 'seq2seq_encoder_mlm' is the tried way to score this model.",
        "boundary_unseen": (
            "The reference's token boundary sees almost none of the targets on the base model (total probability "
            "{reference} against {natural} with the natural boundary): switch token_boundary to 'natural' to score "
            "what the model really says."
        ),
        "boundary_padding": (
            "The reference's rule reads {count} of {rows} rows behind padding tokens: switch token_boundary to "
            "'natural' for numbers that do not depend on the other rows."
        ),
    }
)
"""{code: the sentence, with {places}}."""


def remark(code: str, **values: object) -> str:
    """The sentence of a warning."""
    return REMARKS[code].format(**values)


def recognised(sentence: str) -> tuple[str, dict[str, str]] | None:
    """(the code, its values) of a warning; None for any other sentence."""
    return found_in(sentence, _patterns())


def found_in(sentence: str, patterns: Mapping[str, re.Pattern[str]]) -> tuple[str, dict[str, str]] | None:
    """(the key, its values) of the first pattern that the whole sentence fits."""
    for key, pattern in patterns.items():
        match = pattern.fullmatch(sentence)
        if match is not None:
            return key, match.groupdict()
    return None


def patterns_of(templates: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """What finds each template's sentences, whatever stands at its {places}; those that say most come first."""
    said = {key: sum(len(text) for text, *_ in string.Formatter().parse(text)) for key, text in templates.items()}
    return {key: _pattern(templates[key]) for key in sorted(templates, key=lambda key: -said[key])}


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    return patterns_of(REMARKS)


def _pattern(template: str) -> re.Pattern[str]:
    found, seen = "", set[str]()
    for text, name, _, _ in string.Formatter().parse(template):
        place = "" if name is None else f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
        found += re.escape(text) + place
        seen |= {name} if name else set()
    return re.compile(found, re.DOTALL)
