"""What is frozen, as it is seen today: plain values that `json` can write. Uses public names and the app's API only.

Names of modules, places on this machine, versions and the number of threads are taken out: they may change.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gradiend_ui
from tests.frozen.served import ROOT, App

HERE = Path(__file__).parent
DATA_FOLDER, EXPERIMENT = HERE / "data_folder", HERE / "experiment"
DEMO = ROOT / "assets" / "demo"
BUNDLED = ("demo", "demo-number")
PLACE = "{repository}"
MODULES = re.compile(r"\bgradiend_ui(?:\.[a-z_]\w*)+(?=\.[A-Za-z_])")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
CONTENTS = re.compile(r"\nPACKAGE CONTENTS\n.*?\n(?=\n\S)", re.DOTALL)
FILE = re.compile(r"\nFILE\n.*", re.DOTALL)
LONGEST_TEXT = 8_000
SMALL = {"first_look": "off", "max_rows": 6, "max_neutral": 12}
DEMO_SPEC = {**SMALL, "goal": "both", "learning_rates": [0.1, 1.0]}
OF_THE_MACHINE = {"checkpoint", "memory", "rev", "eta_seconds", "key", "run"}
FINISHED_SPEC: dict[str, Any] = {**SMALL, "goal": "both", "learning_rates": [0.05, 0.5], "feature_factors": [-1.0, 1.0]}
INTERRUPTED_SPEC: dict[str, Any] = {
    "goal": "both", "learning_rates": [0.1, 0.3, 1.0], "feature_factors": [-1.0, 1.0], "neutral_set": "gender-free",
    "max_rows": 60, "max_neutral": 120,
}  # fmt: skip
FINISHED, INTERRUPTED = "finished by the version before", "interrupted in the version before"
"""What the two runs of the data folder are called."""
TRIALS = 8
"""How often the base model is asked while two evaluations are planned; scoring the small grid takes five times that."""
AXES = {"feature_factor": "feature_factors", "learning_rate": "learning_rates"}
QUESTIONS = tuple(
    (goal, policy) for goal in ("strengthen", "weaken") for policy in ("lms_threshold", "lms_times_metric")
)


# --- the public names ------------------------------------------------------------------------------------------------


def without_modules(text: str) -> str:
    """Classes by their package and name, functions without the place that they have in memory."""
    return ADDRESS.sub("", MODULES.sub("gradiend_ui", text))


def help_text() -> str:
    """`help(gradiend_ui)` without the list of sub-packages and without places; the tree of classes in alphabetical
    order, which otherwise is that of the modules. Of a process of its own: not what other tests did to classes."""
    code = "import pydoc, gradiend_ui; print(pydoc.plain(pydoc.render_doc(gradiend_ui)), end='')"
    command = [sys.executable, "-X", "utf8", "-c", code]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True).stdout
    text = FILE.sub("\n", CONTENTS.sub("\n", told))
    head, _, rest = without_modules(text).partition("\nCLASSES\n")
    tree, _, classes = rest.partition("\n    \n")
    return f"{head}\nCLASSES\n" + "\n".join(sorted(tree.splitlines())) + f"\n    \n{classes}"


def public_names() -> dict[str, Any]:
    """{name: what can be said of it} of every public name, with the members that its class or ours have."""
    found: dict[str, Any] = {}
    for name in sorted(gradiend_ui.__all__):
        thing = getattr(gradiend_ui, name)
        found[name] = {"is": type(thing).__name__, **_said_of(thing)}
        if inspect.isclass(thing):
            found[name]["bases"] = [base.__name__ for base in thing.__mro__[1:]]
            found[name]["members"] = {member: _said_of(value) for member, value in _members(thing)}
    return found


def _members(thing: type) -> Iterator[tuple[str, Any]]:
    """Own and inherited members of our classes, as they are written down."""
    for name in sorted(dir(thing)):
        home = next((base for base in thing.__mro__ if name in vars(base)), None)
        if not name.startswith("_") and home is not None and home.__module__.startswith("gradiend_ui"):
            yield name, inspect.getattr_static(thing, name)


def _said_of(thing: Any) -> dict[str, Any]:
    kind = type(thing).__name__
    if isinstance(thing, classmethod | staticmethod):
        thing = thing.__func__
    if inspect.isroutine(thing) or inspect.isclass(thing):
        return {"kind": kind, "signature": _signature(thing), "doc": without_modules(inspect.getdoc(thing) or "")}
    if isinstance(thing, property):
        getter = _signature(thing.fget)
        return {"kind": kind, "signature": getter, "doc": without_modules(inspect.getdoc(thing) or "")}
    return {"kind": kind, "value": without_modules(repr(thing))}


def _signature(thing: Any) -> str:
    """As it is written down; what a class takes only where the class or one of ours says so."""
    if inspect.isclass(thing):
        made = thing.__init__
        if not (inspect.isfunction(made) and made.__module__.startswith("gradiend_ui")):
            return "as its base class takes it"
    return without_modules(str(inspect.signature(thing)))


# --- the API ---------------------------------------------------------------------------------------------------------


def api_listing(app: App) -> dict[str, Any]:
    """`view_api` of the served app: for every function what it takes and gives."""
    from gradio_client import Client

    app.wait_until_ready()
    told = Client(app.url, verbose=False).view_api(return_format="dict", print_info=False)
    assert isinstance(told, dict)
    return {
        "named": {
            name: {
                "takes": [_parameter(one) for one in function["parameters"]],
                "gives": [_value(one) for one in function["returns"]],
                "says": function.get("description"),
            }
            for name, function in sorted(told["named_endpoints"].items())
        },
        "unnamed": sorted(map(str, told["unnamed_endpoints"])),
    }


def _parameter(told: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("parameter_name", "parameter_has_default", "parameter_default")
    return {**{key: told.get(key) for key in kept}, **_value(told)}


def _value(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": told["label"], "type": told["python_type"]["type"], "component": told["component"]}


# --- the demos -------------------------------------------------------------------------------------------------------


def demo_facts(app: App, source: str) -> tuple[dict[str, Any], str]:
    """(what the app tells of a bundled demo: its card, the scores of a small sweep, the winners; the run)."""
    card = app.ask("load", source, {})
    run = app.ask("start_sweep", card["checkpoint"], DEMO_SPEC)["run"]
    facts = {
        "card": _portable(card),
        "scores": _portable(app.finish(run)),
        "winners": winners(app, run, card["classes"]),
    }
    return facts, run


def winners(app: App, run: str, classes: list[str]) -> dict[str, Any]:
    """{question: the chosen cell with its reasons} for every class, goal and policy."""
    return {
        f"{name} {goal} {policy}": app.ask("select", run, {"target_class": name, "goal": goal, "policy": policy})
        for name in classes
        for goal, policy in QUESTIONS
    }


def _portable(value: Any) -> Any:
    """Without handles, memory and times; places below the repository by their names there."""
    if isinstance(value, dict):
        return {key: _portable(item) for key, item in value.items() if key not in OF_THE_MACHINE}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    return value.replace(str(ROOT), PLACE) if isinstance(value, str) else value


# --- exports ---------------------------------------------------------------------------------------------------------


def export_kinds(runs: Mapping[str, str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """{kind: (run, options)} of what is exported."""
    cell = {"feature_factor": -1.0, "learning_rate": 0.1}
    return {
        "one cell": (runs["demo"], cell),
        "another part and dtype": (runs["demo"], {**cell, "part": "encoder-weight", "dtype": "float16"}),
        "several classes": (
            runs["demo-number"],
            {"target_classes": ["SG", "PL"], "dtype": "bfloat16", "name": "both"},
        ),
    }


def export_facts(app: App, run: str, options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """{file: what it holds} of an export as it is downloaded."""
    folder.mkdir()
    target = app.download(app.ask("export", run, options), folder / "export.zip")
    with zipfile.ZipFile(target) as archive:
        archive.extractall(folder / "export")
    return folder_facts(folder / "export")


def folder_facts(folder: Path) -> dict[str, Any]:
    """{file below the folder: what it holds}: of json and text the content, of tensors names, dtypes and shapes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _file_facts(path) for path in files}


def _file_facts(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return tensor_facts(path)
    if path.name == "manifest.json":
        sums = json.loads(path.read_text(encoding="utf-8"))
        return {name: _sha256(path.parent / name) == digest for name, digest in sums.items()}
    text = _without_versions(path.read_text(encoding="utf-8"))
    if len(text) > LONGEST_TEXT:
        return {"characters": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return json.loads(text) if path.suffix == ".json" else text.splitlines()


def tensor_facts(path: Path) -> dict[str, Any]:
    """How many tensors there are, of which dtypes, a hash of names, dtypes and shapes, and what is not the base's."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    listed = [[name, str(tensor.dtype), list(tensor.shape)] for name, tensor in sorted(tensors.items())]
    return {
        "tensors": len(listed),
        "dtypes": sorted({dtype for _, dtype, _ in listed}),
        "sha256 of names, dtypes, shapes": hashlib.sha256(json.dumps(listed).encode()).hexdigest(),
        "changed": changes(tensors),
    }


def changes(tensors: Mapping[str, Any]) -> dict[str, str]:
    """{name of a tensor that differs from the demo's base: mean absolute change, and in float32 also a sum of the
    changes under weights that tell signs and places apart (narrow dtypes may round to the other side elsewhere)}."""
    import torch
    from safetensors.torch import load_file

    base = load_file(DEMO / "base" / "model.safetensors")
    found: dict[str, str] = {}
    for name in sorted(base):
        change = (tensors[name].double() - base[name].double()).flatten()
        if bool(change.any()):
            weighted = float(change @ torch.cos(torch.arange(change.numel(), dtype=torch.float64)))
            exact = tensors[name].dtype == torch.float32
            found[name] = f"{float(change.abs().mean()):.4e}" + (f", weighted {weighted:.4e}" if exact else "")
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _without_versions(text: str) -> str:
    text = text.replace(str(ROOT), PLACE)
    programs = {name: version(name) for name in ("torch", "transformers")} | {"python": platform.python_version()}
    for name, number in programs.items():
        text = text.replace(number, f"({name})")
    text = re.sub(r'("threads": )\d+', r"\g<1>0", text)
    text = re.sub(r'("device": )"cpu \([^"]*"', r'\1"cpu"', text)
    return re.sub(r"(\| scored on \| )[^|]*\|", r"\1cpu |", text)


# --- folders of the version before -----------------------------------------------------------------------------------


def own_copy(folder: Path, target: Path) -> Path:
    """A copy to work in, with this machine's places put back."""
    shutil.copytree(folder, target)
    for path in target.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(PLACE, ROOT.as_posix()), encoding="utf-8")
    return target


def run_named(data: Path, name: str) -> str:
    """The id of the run that a person called so, in a data folder that no server holds."""
    with closing(sqlite3.connect(data / "runs.sqlite")) as store:
        return str(store.execute("SELECT run FROM run_labels WHERE name = ?", (name,)).fetchone()[0])


def finished_facts(app: App, run: str, folder: Path) -> dict[str, Any]:
    """A finished sweep of the data folder: whether the page lists it, its cells, its winners, an export of one cell."""
    cell = {key: FINISHED_SPEC[axis][0] for key, axis in AXES.items()}
    return {
        "listed": FINISHED in app.listed_runs(),
        "stored": _portable(app.ask("cells", run, 0)),
        "winners": winners(app, run, ["M", "F"]),
        "export": export_facts(app, run, cell, folder),
    }


def interrupted_facts(app: App, run: str, data: Path) -> dict[str, Any]:
    """A sweep that its server's end interrupted: whether it is listed, what is there of it, and what is made of it.

    data: the server's folder, where nothing may lie twice afterwards.
    """
    listed = INTERRUPTED in app.listed_runs()
    before = _portable(app.ask("cells", run, 0))
    app.ask("resume", run)
    after = _portable(app.finish(run))
    found = {"listed": listed, "before": before, "after": after, "kept": _kept(before, after)}
    return {**found, "blocks": _stored_blocks(data, run)}


def _stored_blocks(data: Path, run: str) -> dict[str, int]:
    """{cell as the store spells it: scored blocks} of what the run's numbers are made of."""
    query = (
        "SELECT cell, COUNT(*) FROM results WHERE fingerprint = "
        "(SELECT json_extract(info, '$.fingerprint') FROM runs WHERE id = ?) GROUP BY cell ORDER BY cell"
    )
    with closing(sqlite3.connect(data / "runs.sqlite")) as store:
        return dict(store.execute(query, (run,)).fetchall())


def _kept(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether every finished cell has the very same numbers afterwards."""
    finished = [cell for cell in before["cells"] if cell["status"] == "final"]
    return bool(finished) and all(cell in after["cells"] for cell in finished)


def trainer_of(experiment: Path) -> gradiend_ui.TextPredictionTrainer:
    """A trainer on the demo's base and data that takes over what its experiment folder holds. From the repository's
    folder: its files are named relative to it."""
    from gradiend_ui import PrePruneConfig, TextPredictionTrainer, TrainingArguments

    return TextPredictionTrainer(
        model="assets/demo/base",
        data="assets/demo/eval.csv",
        eval_neutral_data="assets/demo/neutral_pronoun_free.csv",
        args=TrainingArguments(
            experiment_dir=experiment,
            use_cache=True,
            max_seeds=1,
            max_steps=6,
            train_max_size=64,
            learning_rate=1e-3,
            encoder_eval_max_size=4,
            pre_prune_config=PrePruneConfig(n_samples=8, topk=1500),
            decoder_eval_lrs=[0.5, 5.0],
            decoder_eval_max_size_training_like=6,
            decoder_eval_max_size_neutral=12,
        ),
    )


def results_facts(results: Mapping[str, Any]) -> dict[str, Any]:
    """Decoder results with keys that are text."""
    grid = {str(key): value for key, value in results["grid"].items()}
    facts: dict[str, Any] = json.loads(json.dumps({**results, "grid": grid}))
    return facts


@contextmanager
def passes_of_the_base() -> Iterator[list[str]]:
    """Grows by one whenever the base model is asked while the block runs."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    asked: list[str] = []

    def note(module: Any, given: Any) -> None:
        if type(module).__name__.endswith("ForMaskedLM"):
            asked.append(type(module).__name__)

    handle = register_module_forward_pre_hook(note)
    try:
        yield asked
    finally:
        handle.remove()


@contextmanager
def one_thread() -> Iterator[None]:
    """For small work beside others, where threads wait for each other; the former number is put back."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def experiment_facts(experiment: Path) -> dict[str, Any]:
    """What a trainer makes of a copy of the experiment folder: a rewrite by its stored results, the same results once
    more, whether anything was scored for them, and a rewrite by the finished grid alone."""
    with one_thread(), passes_of_the_base() as asked:
        trainer = trainer_of(experiment)
        trainer.train()
        saved = trainer.rewrite_base_model(target_class="F", output_dir=experiment / "F_rewrite")
        results = trainer.evaluate_decoder()
    found = {"saved": folder_facts(Path(saved)), "results": results_facts(results), "scored": len(asked) > TRIALS}
    (experiment / "gradiend_ui.sqlite").rename(experiment / "elsewhere.sqlite")
    with one_thread(), passes_of_the_base() as asked:
        model = trainer_of(experiment).rewrite_base_model(target_class="M")
    by_grid = {"changed": changes(model.state_dict()), "scored again": len(asked) > TRIALS}
    return {**found, "by the grid alone": by_grid}
