"""Fixtures every test may use: tiny trained models, rows and neutral texts. No network, built once per process.

`pytest -n 3` runs the suite in three processes, on two cores: they often wait for processes that they started. A file
stays in one of them, and so do all that need a browser (two of those at once would wait for each other) and all that
need the reference (it trains once per process).
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports transformers
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads crawl where others have the cores
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many processes as cores or more; the models are tiny

import pandas as pd
import pytest

from gradiend_ui.ui.start_up import WithoutStubs
from tests.support import costs, tiny_text
from tests.support.markers import markers_of

sys.meta_path.insert(0, WithoutStubs())  # two processes would write into the same interface files of our components

TESTS = Path(__file__).parent
DEMO = TESTS.parent / "assets" / "demo"


FIRST = ("browser", "parity", "faults")
"""What takes longest is dealt out first, so that no process is left alone with it at the end; the quick tests last."""


def room_of(place: str) -> str:
    """What stays together in one process: all that needs a browser, all that needs the reference, else a file."""
    file = place.partition("::")[0]
    folder = file.removeprefix("tests/").split("/")[0]
    return folder if folder in ("browser", "parity") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deals out whole rooms, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class Rooms(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return room_of(nodeid)

    config.option.loadscopereorder = False
    return Rooms(config, log)


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test carries the markers of its folder; with several processes the long rooms come first."""
    for item in items:
        for name in markers_of(f"{item.path.relative_to(TESTS).as_posix()}::{item.name}"):
            item.add_marker(name)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=rank_of)


def rank_of(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).parts[0]
    return FIRST.index(folder) if folder in FIRST else len(FIRST) + (item.get_closest_marker("quick") is not None)


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class Report:
    """Prints what the tests found beside their ends, whichever process found it; lines by heading."""

    found: dict[str, list[str]]

    def __init__(self) -> None:
        self.found = {}

    def add(self, heading: str, lines: list[str]) -> None:
        self.found.setdefault(heading, []).extend(lines)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if comparison := sys.modules.get("tests.parity.comparison"):
            self.add("parity with the reference", comparison.MEASURED.lines())
        self.add("the slowest of each kind", costs.lines())
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["found"] = self.found

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for heading, lines in getattr(node, "workeroutput", {}).get("found", {}).items():
            self.add(heading, lines)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for heading, lines in self.found.items():
            if lines:
                terminalreporter.section(heading)
                terminalreporter.write_line("\n".join(lines))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Report())


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny models lie. The reference reads a model's kind off its path: "led", "t5", "bart" mislead it."""
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="session")
def tiny_bert(model_folder: Path) -> Path:
    """Folder of a trained masked LM: 2 layers, hidden 32, own cased word pieces, tied decoder."""
    from tests.support.tiny_models import save_tiny_bert

    return save_tiny_bert(model_folder / "bert")


@pytest.fixture(scope="session")
def tiny_gpt2(model_folder: Path) -> Path:
    """Folder of a trained causal LM: 2 layers, hidden 32, byte-level BPE, tied embeddings."""
    from tests.support.tiny_models import save_tiny_gpt2

    return save_tiny_gpt2(model_folder / "gpt2")


@pytest.fixture(scope="session")
def tiny_t5(model_folder: Path) -> Path:
    """Folder of a random encoder-decoder model without a mask token: 2 + 2 layers, one embedding, sentinels."""
    from tests.support.tiny_models import save_tiny_t5

    return save_tiny_t5(model_folder / "t5")


@pytest.fixture(scope="session")
def tiny_bart(model_folder: Path) -> Path:
    """Folder of a random encoder-decoder model with a mask token: 2 + 2 layers, byte-level BPE."""
    from tests.support.tiny_models import save_tiny_bart

    return save_tiny_bart(model_folder / "bart")


@pytest.fixture(scope="session")
def tiny_llama(model_folder: Path) -> Path:
    """Folder of a random causal LM with a head of its own, a beginning token and a padding token of its own."""
    from tests.support.tiny_models import save_tiny_llama

    return save_tiny_llama(model_folder / "llama")


@pytest.fixture(scope="session")
def tiny_instruct(model_folder: Path) -> Path:
    """The same causal LM, under a name that makes the reference put every text into a chat prompt."""
    from tests.support.tiny_models import save_tiny_llama

    return save_tiny_llama(model_folder / "llama-Instruct")


@pytest.fixture(scope="session")
def tiny_roberta(model_folder: Path) -> Path:
    """Folder of a random masked LM with byte-level BPE and "<mask>"."""
    from tests.support.tiny_models import save_tiny_roberta

    return save_tiny_roberta(model_folder / "roberta")


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """he / she rows of the classes M and F, with train, validation and test splits."""
    return tiny_text.build_rows()


@pytest.fixture(scope="session")
def neutral_texts() -> list[str]:
    """Texts without he or she."""
    return tiny_text.build_neutral_texts()


@pytest.fixture(scope="session")
def demo() -> Path:
    """The bundled demo: base, gradiend, eval.csv and two neutral sets."""
    return DEMO
