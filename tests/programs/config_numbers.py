"""Every number in the config.json of every architecture, with odd values: what opening and running each upload takes.

    python -m tests.programs.config_numbers            # all architectures, about a quarter of an hour
    python -m tests.programs.config_numbers phi bert

A tiny model of each kind is taken in as a stranger's; then each number, list and object of its configuration is set to
values that no model has. Each case is opened and one sentence is scored in a process of its own. It must end well or
in a typed refusal; the program lists what takes more than 200 MB or 2.5 s, or ends otherwise, and then exits with 1.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

MOST_MB, MOST_SECONDS, PATIENCE_SECONDS = 200, 2.5, 40
MEMORY = 12 * 2**30
NUMBERS = (-1, 0, 1, 7, 64, 256, 4096, 2**16, 2**20, 2**24, 2**27, -(2**27), 0.5, 1e6, 1e9, 1e38, -1e38, 1e-38)
OTHERS = ([0] * 4096, [64] * 4096, ["full_attention"] * 64, [[["global", "local"], 64]], {}, [2**24])
MASKED_TEXT, CAUSAL_TEXT = "The [MASK] sees her.", "The cat sees [MASK]"
Place = tuple[str | int, ...]


class Taken(NamedTuple):
    """What one case took: seconds, MB beyond what the process had before, and how it ended."""

    seconds: float
    megabytes: int
    ended: str

    @property
    def is_well(self) -> bool:
        known = self.ended == "ok" or self.ended.startswith("refused")
        return known and self.megabytes <= MOST_MB and self.seconds <= MOST_SECONDS


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="architecture")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    _quiet()
    from transformers import AutoConfig

    from gradiend_ui.engine.base.rebuilding import build
    from gradiend_ui.engine.uploads.trust import ARCHITECTURES
    from tests.support.tiny_architectures import save_tiny

    outcomes: Counter[str] = Counter()
    worst: dict[str, Taken] = {}
    with tempfile.TemporaryDirectory() as place:
        for kind in options.kinds or sorted(ARCHITECTURES):
            folder = Path(place) / kind / "base"
            build(save_tiny(kind, Path(place) / kind / "raw"), folder, pickled=False)
            plain = AutoConfig.from_pretrained(folder).to_dict() | {"chunk_size_feed_forward": 0, "num_labels": 2}
            plain = {
                name: value for name, value in plain.items() if name not in ("transformers_version", "_name_or_path")
            }
            for at, value, config in _cases(plain):
                taken = _taken(folder, config)
                if not at and taken.ended != "ok":
                    print(f"{kind} as it was saved: {taken.ended}")
                    return 1
                outcomes[taken.ended.partition(" ")[0]] += 1
                worst["s"] = max(worst.get("s", taken), taken)
                worst["MB"] = max(worst.get("MB", taken), taken, key=lambda one: one.megabytes)
                if not taken.is_well:
                    outcomes["not well"] += 1
                    print(kind, ".".join(map(str, at)), str(value)[:40], *taken, flush=True)
    print(f"{sum(outcomes.values()) - outcomes['not well']} cases: {dict(outcomes)}")
    print(f"longest {worst['s'].seconds:.2f} s, most {worst['MB'].megabytes} MB")
    return 1 if outcomes["not well"] else 0


def _quiet() -> None:
    import torch
    import transformers

    warnings.simplefilter("ignore")
    transformers.utils.logging.disable_progress_bar()
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)  # the processes are forks, which threads do not outlive


def _cases(plain: dict[str, Any]) -> Iterator[tuple[Place, object, dict[str, Any]]]:
    yield (), "as it was saved", plain
    for at in _places(plain):
        old = _at(plain, at)
        for value in [not old] if isinstance(old, bool) else OTHERS if isinstance(old, (list, dict)) else NUMBERS:
            config = json.loads(json.dumps(plain))
            _at(config, at[:-1])[at[-1]] = value
            yield at, value, config


def _places(value: object, at: Place = ()) -> Iterator[Place]:
    """Where a number, nothing, a list or an object stands in a configuration."""
    if isinstance(value, dict):
        for name, inside in value.items():
            if name not in ("id2label", "label2id"):
                yield from _places(inside, (*at, name))
        if at:
            yield at
    elif isinstance(value, list):
        yield at
        for number, inside in enumerate(value[:1]):
            yield from _places(inside, (*at, number))
    elif not isinstance(value, str):
        yield at


def _at(value: Any, at: Place) -> Any:
    for step in at:
        value = value[step]
    return value


def _taken(folder: Path, config: dict[str, Any]) -> Taken:
    """What the case takes in a process of its own, with a limit on memory and patience."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.alarm(PATIENCE_SECONDS)
        before, began = _peak(), time.monotonic()
        ended = _ending(folder, config)
        told = json.dumps([time.monotonic() - began, _peak() - before, ended])
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told_there:
        answer = told_there.read()
    status = os.waitpid(child, 0)[1]
    return Taken(*json.loads(answer)) if answer else Taken(PATIENCE_SECONDS, 0, f"died ({status})")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _ending(folder: Path, config: dict[str, Any]) -> str:
    from gradiend_ui.engine.errors import GradiendUIError
    from gradiend_ui.engine.uploads.clean_model import clean_config

    try:
        clean = clean_config(config, "config.json").content
        (folder / "config.json").write_text(json.dumps(clean))
        _open_and_score(folder)
    except GradiendUIError as error:
        return f"refused {error}"[:200]
    except BaseException as error:  # whatever it is, it is told
        return f"untyped {error!r}"[:200]
    return "ok"


def _open_and_score(folder: Path) -> None:
    from gradiend_ui.engine.base.loading import load_base_model
    from gradiend_ui.engine.compare.sentences import batch_of, read_sentence
    from gradiend_ui.engine.scoring.readout import EncoderReadout, Readout
    from gradiend_ui.engine.uploads.trust import public_trust

    base = load_base_model(str(folder), trust=public_trust().within(folder.parent))
    text = CAUSAL_TEXT if base.kind == "causal" else MASKED_TEXT
    batch = batch_of(base, [read_sentence(base, text, 0, "reference")])
    at_encoder = base.facts.at_encoder
    readout: EncoderReadout | Readout = EncoderReadout() if at_encoder else Readout.trying(base.model, batch)
    readout.logits(base.model, batch)


if __name__ == "__main__":
    sys.exit(main())
