"""The pages: names exist, blocks run, links and pictures lead somewhere, what they say of the code is so.

A Python block below the line `<!-- runs -->` is run as it stands, on two learning rates where it names none; with
`<!-- runs, A as B; C as D -->` the text A is replaced by B and C by D first, so that it takes less data.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

import gradiend_ui
from gradiend_ui import ModelWithGradiend, TextPredictionTrainer
from gradiend_ui.engine.base.objectives import OBJECTIVES
from gradiend_ui.engine.values import PARTS
from gradiend_ui.trainer import decoder_evaluation, decoder_plan
from tests.test_layers import ORDER

ROOT = Path(__file__).parents[1]
DOCS, GITHUB, CI = ROOT / "assets" / "docs", ROOT / ".github", ROOT / ".ci" / "run"
README, PAGE, API, INDEX = ROOT / "README.md", DOCS / "coming-from-gradiend.md", DOCS / "api.md", DOCS / "index.md"
PAGES = sorted(
    [README, ROOT / "SECURITY.md", ROOT / "assets" / "demo" / "README.md", *DOCS.glob("*.md"), *GITHUB.rglob("*.md")]
)
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
RUNS = re.compile(r"<!-- runs(?:, (?P<instead>.+?))? -->\n```python\n(?P<code>.*?)```", re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
NAME = re.compile(r"[A-Za-z_][\w.]*(\(.*\))*(\.\w+\(.*\))?(=.*)?")
FILE = re.compile(r"\.(json|csv|html|sqlite)|\*")
WORDS_OF_RESULTS = {
    *("fallback", "why", "probs_by_dataset", "decoder_results", "code", "fingerprint", "select", "training_rows"),
    *("factual_id", "counterfactual_id", "transition_id", "input_type", "input_text", "masked"),
}
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
        with pytest.raises((AttributeError, gradiend_ui.GradiendUIError), match=name):
            getattr(gradiend_ui, name)
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


def named(page: Path) -> str:
    """How a test calls a page."""
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", [README, PAGE, API], ids=named)
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
        for pair in filter(None, (block["instead"] or "").split("; ")):
            old, new = pair.split(" as ")
            assert old in code, f"{document.name}: {old} is not in the block"
            code = code.replace(old, new)
        exec(compile(code, document.name, "exec"), names)
    assert list((tmp_path / "output").iterdir())


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{named(page)}: {link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{named(page)}: {link} names no heading"


def test_every_page_is_in_the_index_and_every_picture_on_a_page() -> None:
    listed = {(DOCS / link).resolve() for link in LINK.findall(INDEX.read_text(encoding="utf-8"))}
    assert set(PAGES) - {INDEX, GITHUB / "pull_request_template.md"} == listed
    shown = {
        (page.parent / link).resolve() for page in PAGES for link in LINK.findall(page.read_text(encoding="utf-8"))
    }
    for picture in (path for path in DOCS.iterdir() if path.suffix in {".png", ".svg"}):
        assert picture in shown, f"{picture.name} is on no page"


def test_the_readme_is_short_and_its_test_command_is_the_one_that_ci_runs() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 145
    install, run = "pip install -r requirements.txt -r tests/requirements.txt", "pytest -n 3"
    ci = CI.read_text(encoding="utf-8").replace("--quiet ", "")
    assert f"\n{install} && {run}\n" in text and f"\n{install}\n" in ci and f" all) {run} " in ci


def test_the_readmes_map_says_of_each_package_what_the_package_says() -> None:
    lines = README.read_text(encoding="utf-8").split("## Folders")[1].split("```")[1].strip().splitlines()
    told = dict(re.split(r" {2,}| (?=[A-Z])", line, maxsplit=1) for line in lines if line.startswith("gradiend_ui/"))
    packages = {path.parent for path in (ROOT / "gradiend_ui").glob("*/**/__init__.py")}
    for package in packages:
        doc = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
        name = package.relative_to(ROOT).as_posix()
        assert told.get(name) == doc.split("\n\n")[0].replace("\n", " "), f"{name}: the README and the package differ"
    assert {place for place in told if not place.endswith(".py")} == {p.relative_to(ROOT).as_posix() for p in packages}


def homes_of(path: str) -> list[Path]:
    """The files of the project whose path ends like this."""
    own = [ROOT / path] if (ROOT / path).is_file() else []
    found = (file for folder in ("gradiend_ui", "assets", "tests") for file in (ROOT / folder).rglob(Path(path).name))
    return own + [file for file in found if file.as_posix().endswith(f"/{path}")]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "changes.md"], ids=named)
def test_files_and_functions_that_a_page_names_are_there(page: Path) -> None:
    """`path.py`, `path.py::name`; changes.md tells of paths of yesterday."""
    for span in set(re.findall(r"`([\w./-]+\.(?:py|js|toml|svg|yml)(?:::\w+)?)`", page.read_text(encoding="utf-8"))):
        path, _, name = span.partition("::")
        homes = homes_of(path)
        assert homes, f"{named(page)} names {path}, which is not there"
        found = re.search(rf"^ *(?:async )?(?:def|class) {name}\b", homes[0].read_text(encoding="utf-8"), re.MULTILINE)
        assert not name or found, f"{named(page)} names {span}"


def test_programs_that_a_page_names_are_there() -> None:
    """`python -m package.module`, and the names in the table of programs."""
    called = re.compile(r"python -m (?:tests|assets)((?:\.[a-z_]+)+)(?![\w.])")
    named_so = {name for page in PAGES for name in called.findall(page.read_text(encoding="utf-8"))}
    chapter_of = (DOCS / "development.md").read_text(encoding="utf-8").split("\n## Programs\n")[1].split("\n## ")[0]
    named_so |= {name for cells in table_rows(chapter_of) for name in re.findall(r"`([a-z_]+)[ `]", cells[0])}
    assert len(named_so) > 12
    for name in named_so:
        last = name.rpartition(".")[2]
        assert [*(ROOT / "tests").rglob(f"{last}.py"), *(ROOT / "assets").rglob(f"{last}/__main__.py")], f"no {name}"


def test_the_page_of_the_api_lists_every_function_and_code() -> None:
    text = API.read_text(encoding="utf-8")
    listed = {name for cells in table_rows(text) for name in re.findall(r"`/(\w+)`", cells[0])}
    given = json.loads((ROOT / "tests" / "frozen" / "api.json").read_text(encoding="utf-8"))
    assert listed == {name.removeprefix("/") for name in given["named"]}
    codes = {kind.code for kind in subclasses(gradiend_ui.GradiendUIError)}
    assert len(codes) > 8 and all(re.search(rf"\b{code}\b", text) for code in codes)


def subclasses(kind: type[gradiend_ui.GradiendUIError]) -> set[type[gradiend_ui.GradiendUIError]]:
    below = set(kind.__subclasses__())
    return below.union(*map(subclasses, below))


def test_a_value_passes_few_files() -> None:
    """Python files in the lists of the four trips: form to cell, row to score, click to sentences, cell to export."""
    _, *trips = (
        (DOCS / "architecture.md").read_text(encoding="utf-8").split("## Four trips of a value")[1].split("### ")
    )
    steps = [re.findall(r"^ *(?:\d+\. |  ).*$", trip, re.MULTILINE) for trip in trips]
    files = [set(re.findall(r"`([\w/]+\.py)", "\n".join(lines))) for lines in steps]
    assert [len(found) <= most for found, most in zip(files, (24, 21, 18, 13), strict=True)] == [True] * 4


def test_the_drawing_of_the_packages_is_their_order() -> None:
    """Read row by row from below, left to right."""
    boxes = []
    for element in ElementTree.parse(DOCS / "architecture.svg").iter():
        if name := element.get("data-package"):
            x, y = map(float, re.findall(r"-?[\d.]+", element.get("transform") or ""))
            assert name.replace(".", "/") in [text.text for text in element]
            boxes.append((-y, x, name))
    assert [name for _, _, name in sorted(boxes)] == ORDER


def yaml_of(path: Path) -> Any:
    """A YAML file, read; `on:` stays a word."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


@pytest.mark.parametrize("form", sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")), ids=named)
def test_issue_forms_are_forms(form: Path) -> None:
    found = yaml_of(form)
    if form.name == "config.yml":
        assert all(set(link) == {"name", "url", "about"} for link in found["contact_links"])
        return
    assert found["name"] and found["description"]
    fields = [field for field in found["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids)) and all(field["attributes"]["label"] for field in fields)
    assert {field["type"] for field in found["body"]} <= {"markdown", "textarea", "input", "dropdown", "checkboxes"}
    assert all(field["attributes"]["options"] for field in fields if field["type"] == "dropdown")
    assert any(field.get("validations", {}).get("required") == "true" for field in fields)


def test_the_workflow_calls_every_part_of_ci_and_pins_its_actions() -> None:
    (job,) = yaml_of(GITHUB / "workflows" / "ci.yml")["jobs"].values()
    uses = [step["uses"] for step in job["steps"] if "uses" in step]
    assert uses and all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+)*", use) for use in uses)
    assert ".ci/run ${{ matrix.part }}" in [step.get("run") for step in job["steps"]]
    known = re.search(r"^    all \| (.+)\) ;;$", CI.read_text(encoding="utf-8"), re.MULTILINE)
    parts = set(known[1].split(" | ")) if known else set()
    assert "quick" in parts and set(job["strategy"]["matrix"]["part"]) == parts - {"quick"}  # which is in "tests"


def test_ci_refuses_a_part_that_it_does_not_know() -> None:
    done = subprocess.run([CI, "fast"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "'fast'" in done.stderr


def test_versions_that_stand_in_two_places_are_the_same() -> None:
    pinned = dict(
        line.split("==")
        for name in ("requirements.txt", "tests/requirements.txt")
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if "==" in line
    )
    (hooks,) = (repo["hooks"] for repo in yaml_of(ROOT / ".pre-commit-config.yaml")["repos"])
    wanted = {need for hook in hooks for need in hook.get("additional_dependencies", ())}
    assert wanted == {f"ruff=={pinned['ruff']}"}
    assert {hook["language"] for hook in hooks if hook["id"] == "mypy"} == {"system"}
    space = yaml.safe_load(README.read_text(encoding="utf-8").split("---")[1])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert space["sdk_version"] == pinned["gradio"]
    assert project["version"] == gradiend_ui.__version__
    assert project["requires-python"] == f">={space['python_version']}"


def test_modules_that_have_moved_are_where_the_changes_say() -> None:
    rows = [row for row in table_rows((DOCS / "changes.md").read_text(encoding="utf-8")) if len(row) == 2]
    new = re.findall(r"`([\w.]+)`", " ".join(row[1] for row in rows))
    assert len(new) > 15
    for module in new:
        place = ROOT / "gradiend_ui" / "engine" / module.replace(".", "/")
        assert place.with_suffix(".py").is_file() or place.is_dir(), f"{module} is not there"
