"""README and the page for people who come from `gradiend`: names exist, blocks run, links lead somewhere.

A Python block below the line `<!-- runs -->` is run as it stands, on two learning rates where it names none; with
`<!-- runs, A as B -->` the text A is replaced by B first.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gradiend_ui
from gradiend_ui import ModelWithGradiend, TextPredictionTrainer
from gradiend_ui.engine.base.objectives import OBJECTIVES
from gradiend_ui.engine.values import PARTS
from gradiend_ui.trainer import decoder_evaluation, decoder_plan

ROOT = Path(__file__).parents[1]
README, PAGE = ROOT / "README.md", ROOT / "assets" / "docs" / "coming-from-gradiend.md"
RUNS = re.compile(r"<!-- runs(?:, (?P<old>.+?) as (?P<new>.+?))? -->\n```python\n(?P<code>.*?)```", re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
NAME = re.compile(r"[A-Za-z_][\w.]*(\(.*\))*(\.\w+\(.*\))?(=.*)?")
FILE = re.compile(r"\.(json|csv|html|sqlite)|\*")
WORDS_OF_RESULTS = {"fallback", "why", "probs_by_dataset", "decoder_results", "code", "fingerprint", "select"}
FROM_ELSEWHERE = {"gradiend", "gradiend_ui", "images", "hub", "logging", "len"}


def chapter(title: str) -> str:
    """The text of one chapter of the page."""
    return PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def table_rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row in `text`, heads and rulers left out."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        ruler = number + 1 < len(lines) and lines[number + 1].startswith("|---")
        if line.startswith("|") and not line.startswith("|---") and not ruler:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def parameters(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters)


def own_names() -> set[str]:
    """Everything that the page may call ours: public names, their attributes, fields and arguments."""
    names = set(gradiend_ui.__all__) | WORDS_OF_RESULTS | FROM_ELSEWHERE | set(OBJECTIVES)
    for name in gradiend_ui.__all__:
        thing = getattr(gradiend_ui, name)
        if not inspect.isclass(thing):
            continue
        names |= {member for member in dir(thing) if not member.startswith("_")} | parameters(thing.__init__)
        names |= {field.name for field in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
        for _, method in inspect.getmembers(thing, inspect.isroutine):
            if inspect.isfunction(method) or inspect.ismethod(method):
                names |= parameters(method)
    return names


def spoken_names(text: str) -> set[str]:
    """Names in backticks: `name`, `name()`, `Class.method(...)`, and the arguments `name=`."""
    found: set[str] = set()
    for span in SPAN.findall(text):
        if not NAME.fullmatch(span) or FILE.search(span):
            continue
        found |= set(re.findall(r"[A-Za-z_]\w*(?==)", span))
        bare = re.sub(r"\([^()]*\)", "", span if "(" in span else span.split("=")[0])
        found |= {part for part in bare.split(".") if part}
    return found


def test_every_name_we_claim_exists() -> None:
    ours = [chapter("Change one import").split("```")[-1], chapter("Where numbers differ")]
    for title in re.findall(r"\n## (.+)\n", PAGE.read_text(encoding="utf-8")):
        for cells in table_rows(chapter(title)) if title != "What is not here" else ():
            ours.append(" ".join(cells[1:] if re.match("the same(?! smallest)", cells[2]) else cells[2:]))
    ours += [cells[1] for cells in table_rows(chapter("What is not here"))]
    said = set().union(*map(spoken_names, ours))
    assert len(said) > 120, "the names are not found in the tables any more"
    assert said - own_names() == set()


def test_every_argument_of_evaluate_decoder_is_explained() -> None:
    cells = [cells[0].strip("`") for cells in table_rows(chapter("Decoder evaluation")) if len(cells) == 3]
    assert set(cells) == parameters(TextPredictionTrainer.evaluate_decoder) - {"self"}
    text = next(cells[2] for cells in table_rows(chapter("Decoder evaluation")) if cells[0] == "`part`")
    assert set(re.findall(r'"([\w-]+)"', text)) == set(PARTS)


def test_what_is_said_to_be_missing_is_missing_or_refused() -> None:
    settings = {field.name for field in dataclasses.fields(gradiend_ui.TrainingArguments)}
    missing = set().union(*(spoken_names(cells[0]) for cells in table_rows(chapter("What is not here"))))
    missing -= {"as", *OBJECTIVES}
    assert len(missing) > 30
    for name in missing - settings:
        assert not hasattr(gradiend_ui, name), f"{name} is here"
        assert not hasattr(TextPredictionTrainer, name) and not hasattr(ModelWithGradiend, name), f"{name} is here"
    known = {"learning_rate": "tune", "trust_remote_code": True, "supervised_encoder": True, "runtime_monitor": True}
    asked = {"criterion": print, "base_model_max_memory": {0: "1GB"}, "gradient_timing_steps": 5, "evaluate_fn": print}
    for name in missing & settings:
        with pytest.raises(gradiend_ui.GradiendUIError, match=name):
            gradiend_ui.TrainingArguments(**{name: {**known, **asked}.get(name, True)})


def test_what_is_said_to_be_accepted_is_accepted() -> None:
    text = chapter("What is not here").split("Accepted without effect:")[1].split("\n\n")[0]
    values = {"split_resplit_strategy": "balanced_cycle", "seed_stability_part": "decoder-bias", "positive_class": "F"}
    names = spoken_names(text)
    assert len(names) > 10
    for name in names:
        given = getattr(gradiend_ui.TrainingArguments(), name)
        gradiend_ui.TrainingArguments(**{name: not given if isinstance(given, bool) else values.get(name, 2)})


def test_names_handed_out_are_listed_in_the_help() -> None:
    for name in gradiend_ui.__all__:
        assert name == "__version__" or name in (gradiend_ui.__doc__ or ""), f"{name} is not in help(gradiend_ui)"


@pytest.mark.parametrize("document", [README, PAGE], ids=["readme", "page"])
def test_blocks_run(document: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (decoder_plan, decoder_evaluation):
        monkeypatch.setattr(module, "DEFAULT_LEARNING_RATES", (0.2, 0.05))
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    blocks = list(RUNS.finditer(document.read_text(encoding="utf-8")))
    assert blocks, "no block is marked as running"
    names: dict[str, object] = {}
    for block in blocks:
        code = block["code"]
        if block["old"]:
            assert block["old"] in code
            code = code.replace(block["old"], block["new"])
        exec(compile(code, document.name, "exec"), names)
    assert list((tmp_path / "output").iterdir())


@pytest.mark.parametrize("document", [README, PAGE], ids=["readme", "page"])
def test_links_lead_to_files(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (document.parent / link).is_file()] == []


def test_the_readmes_map_says_of_each_package_what_the_package_says() -> None:
    lines = README.read_text(encoding="utf-8").split("## Folders")[1].split("```")[1].strip().splitlines()
    told = dict(re.split(r" {2,}| (?=[A-Z])", line, maxsplit=1) for line in lines if line.startswith("gradiend_ui/"))
    packages = {path.parent for path in (ROOT / "gradiend_ui").glob("*/**/__init__.py")}
    for package in packages:
        doc = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
        name = package.relative_to(ROOT).as_posix()
        assert told.get(name) == doc.split("\n\n")[0].replace("\n", " "), f"{name}: the README and the package differ"
    assert {place for place in told if not place.endswith(".py")} == {p.relative_to(ROOT).as_posix() for p in packages}


@pytest.mark.parametrize("page", ["SECURITY.md", "assets/docs/mutations.md", "assets/docs/reliability.md"])
def test_files_and_tests_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for span in set(re.findall(r"`([\w./-]+\.(?:py|js|toml)(?:::\w+)?)`", text)):
        path, _, test = span.partition("::")
        there = [
            place for folder in ("gradiend_ui", "assets", "tests") for place in (ROOT / folder).rglob(Path(path).name)
        ]
        there = [place for place in there if place.as_posix().endswith(f"/{path}")]
        assert there or (ROOT / path).is_file(), f"{page} names {path}, which is not there"
        assert not test or f"def {test}(" in there[0].read_text(encoding="utf-8"), f"{page} names {span}"
