"""Every public name and argument of `gradiend` 0.2.3 beside ours: writes assets/docs/public-names.md.

    python -m tests.programs.public_names            # writes the page
    python -m tests.programs.public_names --check    # exits with 1 where the page is another one

The reference's names are asked of a process of its own (`tests.parity.reference_worker.public_surface`), ours are
looked at here: what a signature takes is the same, what is refused is called, and its sentence is taken down.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import gradiend_ui
from gradiend_ui.trainer.arguments import NOT_HERE
from gradiend_ui.trainer.not_here import MODULES
from tests.parity.reference import Reference

PAGE = Path(__file__).resolve().parents[2] / "assets" / "docs" / "public-names.md"
OURS = {"TextPredictionModelWithGradiend": "ModelWithGradiend"}
"""Classes that are called otherwise here."""
WITHOUT_EFFECT: Mapping[str, tuple[str, ...]] = {
    "TextPredictionTrainer()": ("correlation_mapping", "use_class_names_as_columns"),
    "TextPredictionTrainer.evaluate_decoder": ("decoder_lms_mode",),
    "TextPredictionTrainer.evaluate_encoder": ("use_cache",),
    "TextPredictionTrainer.get_encoder_metrics": ("use_cache",),
    "TextPredictionTrainer.get_model": ("use_cache",),
    "TextPredictionTrainer.plot_encoder_by_target": ("interactive",),
    "TextPredictionTrainer.plot_probability_shifts": ("use_cache",),
    "ModelWithGradiend.from_pretrained": ("require_gradiend_model",),
    "ModelWithGradiend.prune_gradiend": ("keep_idx_sorted_unique",),
    "TrainingArguments": (
        *("decoder_mlm_head_batch_size", "decoder_mlm_head_epochs", "decoder_mlm_head_lr", "decoder_mlm_head_max_size"),
        *("encoder_decoder_same_device", "model_use_cache", "positive_class"),
        *("runtime_monitor_interval", "runtime_monitor_system_stats", "seed_stability_part", "seed_stability_topk"),
        *("split_resplit_strategy", "use_cached_gradients"),
    ),
    "TextPredictionConfig": ("use_class_names_as_columns",),
    "PrePruneConfig": ("batch_size", "feature_class_key", "use_cached_gradients", "use_streaming"),
    "PostPruneConfig": ("inplace", "return_mask"),
}
"""Arguments that are taken and change nothing."""
_SHOWN = {
    "show": "False is the default",
    "return_fig_ax": "gives the Plotly figure",
    "output": "HTML and CSV, and images",
}
_TITLE = "one is written where it is left out"
_LEGEND = "a legend is drawn where one of its settings is given"
OTHER: Mapping[str, Mapping[str, str]] = {
    "TextPredictionTrainer.evaluate_decoder": {
        "use_cache": "None takes scored blocks of equal fingerprint",
        "show": "None writes the files only",
    },
    "TextPredictionTrainer.get_encodings": {"model_path": "encodes now, where the reference reads a file"},
    "TextPredictionTrainer.plot_encoder_distributions": {
        **_SHOWN,
        "cmap": "each class has its own colour without it",
        "legend_loc": _LEGEND,
        "violin_order": "orders the violins; without effect in the reference",
        "output_dir": "before experiment_dir",
    },
    "TextPredictionTrainer.plot_encoder_by_target": {
        **_SHOWN,
        "legend_loc": "right of the figure without it",
        "title": _TITLE,
        "point_size": "in pixels",
        "jitter": "less where colours stand side by side",
    },
    "TextPredictionTrainer.plot_encoder_scatter": {"show": "False is the default", "title": _TITLE},
    "TextPredictionTrainer.plot_encoder_strip_by_split": {
        **_SHOWN,
        "title": _TITLE,
        "point_size": "in pixels",
        "jitter": "less where colours stand side by side",
    },
    "TextPredictionTrainer.plot_probability_shifts": {
        **_SHOWN,
        "highlight_non_convergence": "without effect, as in the reference",
    },
    "TextPredictionTrainer.plot_training_convergence": {**_SHOWN, "legend_loc": _LEGEND},
    "TextPredictionTrainer.train": {"callbacks": "functions that get a TrainingStep"},
    "ModelWithGradiend.get_enhancer_mask": {"topk": "right for pruned GRADIENDs, too"},
    "TrainingArguments": {"use_cache": "None takes scored blocks of equal fingerprint; see coming-from-gradiend.md"},
}
"""Arguments that are taken and mean something else in a detail."""


class Entry(NamedTuple):
    """One name or argument of the reference. verdict: "same", "other", "no effect", "default only" or "refused"; told:
    what differs, or the sentence that a script meets."""

    owner: str
    name: str
    argument: str | None
    verdict: str
    told: str = ""


def entries_of(surface: Mapping[str, Any]) -> list[Entry]:
    """A verdict on everything that the reference has, as `public_surface` tells it."""
    return [*_module_entries(surface), *_class_entries(surface), *_function_entries(surface)]


def sentence_of(call: Callable[[], object]) -> str | None:
    """What a refused call says; None where it is not refused. Any other error than ours goes through."""
    try:
        call()
    except gradiend_ui.GradiendUIError as error:
        return str(error)
    return None


def handed_out(name: str) -> str | None:
    """The sentence of `from gradiend_ui import name`, None where it is handed out."""
    return sentence_of(lambda: getattr(gradiend_ui, name))


def imported(module: str) -> str | None:
    """The sentence of importing a module below ours."""
    return sentence_of(lambda: __import__(f"gradiend_ui.{module}"))


def _module_entries(surface: Mapping[str, Any]) -> Iterator[Entry]:
    seen: set[str] = set()
    for module, names in surface["modules"].items():
        below = module.partition(".")[2]
        if below in MODULES:
            yield Entry("modules", module, None, "refused", imported(below) or "")
            names = names if below in ("evaluator", "model", "visualizer") else ()
        for name in names:
            if name not in seen:
                told = handed_out(name)
                yield Entry("names", name, None, "same" if told is None else "refused", told or "")
            seen.add(name)


def _class_entries(surface: Mapping[str, Any]) -> Iterator[Entry]:
    for theirs, members in surface["classes"].items():
        name = OURS.get(theirs, theirs)
        cls = getattr(gradiend_ui, name)
        fields = {one.name for one in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
        for member, arguments in members.items():
            if member in fields:
                yield _argument_entry(name, member, None, member)
            elif member == "__init__":
                if not fields:
                    yield from _call_entries(f"{name}()", cls, "__init__", arguments or ())
            else:
                yield from _member_entries(name, cls, member, arguments)
        for member in surface["inherited"][theirs]:
            if not hasattr(cls, member):
                yield Entry(f"{name}, of torch", member, None, "refused", refused_member(cls, member) or "")


def _member_entries(name: str, cls: type, member: str, arguments: list[str] | None) -> Iterator[Entry]:
    told = None if is_member(cls, member) else refused_member(cls, member)
    if told is not None:
        yield Entry(name, member, None, "refused", told)
        return
    yield Entry(name, member, None, "same")
    if arguments is not None:
        yield from _call_entries(f"{name}.{member}", cls, member, arguments)


def _function_entries(surface: Mapping[str, Any]) -> Iterator[Entry]:
    for name, arguments in surface["functions"].items():
        for argument in arguments:
            assert argument in inspect.signature(getattr(gradiend_ui, name)).parameters, f"{name}({argument}=)"
            yield Entry(name, name, argument, "same")


def is_member(cls: type, member: str) -> bool:
    """Whether our objects of the class have it: a member of the class, or an attribute that the class declares."""
    return hasattr(cls, member) or any(member in vars(one).get("__annotations__", {}) for one in cls.__mro__)


def refused_member(cls: type, member: str) -> str | None:
    return sentence_of(lambda: getattr(object.__new__(cls), member))


def _call_entries(owner: str, cls: type, member: str, arguments: list[str]) -> Iterator[Entry]:
    function = inspect.getattr_static(cls, member)
    function = function.__func__ if isinstance(function, classmethod) else function
    known = inspect.signature(function).parameters
    for argument in arguments:
        if argument in known:
            yield _argument_entry(owner, owner.rpartition(".")[2], owner, argument)
            continue
        told = refused_argument(cls, member, argument)
        yield Entry(owner, owner.rpartition(".")[2], argument, "refused", told or "")


def refused_argument(cls: type, member: str, argument: str) -> str | None:
    """What a call with this argument says, before it does anything."""
    function = inspect.getattr_static(cls, member)
    subject: Any = object.__new__(cls)
    if isinstance(function, classmethod):
        function, subject = function.__func__, cls
    if member == "train":  # it takes fields of TrainingArguments, and looks at their names itself
        subject = gradiend_ui.TextPredictionTrainer("a base model")
    return sentence_of(lambda: function(subject, **{argument: None}))


def _argument_entry(owner: str, name: str, call: str | None, argument: str) -> Entry:
    place = call or owner
    if place == "TrainingArguments" and argument in NOT_HERE:
        default, way = NOT_HERE[argument]
        return Entry(owner, name, argument, "default only", f"only {default!r}: {way}")
    if argument in WITHOUT_EFFECT.get(place, ()):
        return Entry(owner, name, argument, "no effect")
    if argument in OTHER.get(place, {}):
        return Entry(owner, name, argument, "other", OTHER[place][argument])
    return Entry(owner, name, argument, "same")


# --- the page --------------------------------------------------------------------------------------------------------

HEAD = """# Every public name of `gradiend` 0.2.3

What [coming from `gradiend`](coming-from-gradiend.md) tells in words, name by name: {counts}.
A name or argument that is refused is refused in a sentence, a `GradiendUIError` that says what to do instead; no script
meets a bare TypeError, AttributeError or ImportError for one of these.

`python -m tests.programs.public_names` writes this page from both packages, and `tests/parity/test_public_names.py`
checks that it is what that program writes, and that each entry is so.
"""
WORDS = {
    "same": "the same",
    "other": "other in a detail",
    "no effect": "taken without effect",
    "default only": "taken at their default only",
    "refused": "refused with the way out",
}


def page_of(entries: list[Entry]) -> str:
    """The page's text."""
    counted = [one for one in entries if one.verdict in WORDS]
    counts = ", ".join(f"{sum(one.verdict == verdict for one in counted)} {word}" for verdict, word in WORDS.items())
    parts = [HEAD.format(counts=counts)]
    parts.append(_names("names", "Names to import", entries))
    parts.append(_names("modules", "Modules", entries))
    owners = dict.fromkeys(one.owner.partition(".")[0].removesuffix("()") for one in entries)
    for owner in owners:
        if owner not in ("names", "modules") and ", of torch" not in owner:
            parts.append(_class_part(owner, entries))
    return "\n".join(parts)


def _names(owner: str, title: str, entries: list[Entry]) -> str:
    own = [one for one in entries if one.owner == owner]
    same = ", ".join(f"`{one.name}`" for one in own if one.verdict == "same")
    rows = [f"| `{one.name}` | {_cell(way_of(one.told))} |" for one in own if one.verdict == "refused"]
    said = [f"The same: {same}.\n"] if same else []
    return "\n".join([f"## {title}\n", *said, "| not here | instead |", "|---|---|", *rows, ""])


def _class_part(owner: str, entries: list[Entry]) -> str:
    fields = [one for one in entries if one.owner == owner and one.argument == one.name]
    if fields:
        return _fields_part(owner, fields, entries)
    rows, refused = [], {one.name: one for one in entries if one.owner == owner and one.verdict == "refused"}
    for member in dict.fromkeys(one.name for one in entries if one.owner in (owner, f"{owner}()")):
        calls = [one for one in entries if one.owner in (f"{owner}.{member}", member) and one.argument is not None]
        rows.append(_row(member, calls, refused.get(member)))
    torch = [one for one in entries if one.owner == f"{owner}, of torch"]
    names = ", ".join(f"`{one.name}`" for one in torch)
    more = [f"\nOf torch's modules, refused: {names}: {way_of(torch[0].told)}"] if torch else []
    title = f"## `{owner}`" if owner[0].isupper() else "## Functions"
    table = ["| name | arguments that are the same | otherwise |", "|---|---|---|", *rows]
    return "\n".join([f"{title}\n", *table, *more, ""])


def _row(member: str, calls: list[Entry], gone: Entry | None) -> str:
    if gone is not None:
        return f"| `{member}` | not here | {_cell(way_of(gone.told))} |"
    same = ", ".join(f"`{one.argument}`" for one in calls if one.verdict == "same")
    others = [f"`{one.argument}`: {one.told}" for one in calls if one.verdict == "other"]
    idle = ", ".join(f"`{one.argument}`" for one in calls if one.verdict == "no effect")
    others += [f"without effect: {idle}"] if idle else []
    others += [f"`{one.argument}` refused: {way_of(one.told)}" for one in calls if one.verdict == "refused"]
    return f"| `{member}` | {same or 'none'} | {_cell('; '.join(others))} |"


def _fields_part(owner: str, fields: list[Entry], entries: list[Entry]) -> str:
    def listed(verdict: str) -> str:
        return ", ".join(f"`{one.name}`" for one in fields if one.verdict == verdict)

    lines = [f"## `{owner}`\n", f"The same: {listed('same')}.\n"]
    if listed("no effect"):
        lines.append(f"Without effect: {listed('no effect')}.\n")
    told = [one for one in fields if one.verdict in ("other", "default only")]
    if told:
        lines += ["| field | here |", "|---|---|", *(f"| `{one.name}` | {_cell(one.told)} |" for one in told), ""]
    methods = dict.fromkeys(one.name for one in entries if one.owner == owner and one.argument is None)
    if methods:
        lines.append(f"Methods, the same: {', '.join(f'`{name}`' for name in methods)}.\n")
    return "\n".join(lines)


def way_of(sentence: str) -> str:
    """What a refusal says to do, without the name that it begins with."""
    return sentence.partition(": ")[2].removesuffix(".")


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or " "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="only tell whether the page is up to date")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Reference(Path(folder) / "reference.log") as reference:
        text = page_of(entries_of(reference.ask("public_surface")))
    if not asked.check:
        PAGE.write_text(text, encoding="utf-8")
        print(f"{PAGE.name}: {len(text.splitlines())} lines")
    elif PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE.name} is not what this program writes: run it without --check.")


if __name__ == "__main__":
    main()
