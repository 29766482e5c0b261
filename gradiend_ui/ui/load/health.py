"""The health card: what a loaded GRADIEND is, which way it pushes, whether it can be trusted, what was assumed.

Trees from a card's plain values. Presses of its buttons are `select` events; knows no session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradiend_ui.engine.answers.checkpoint import Assumed, Card, FoundSweep, MemoryNeeded, Seed
from gradiend_ui.engine.base.objectives import objective_named
from gradiend_ui.engine.values import GIGABYTE, MEGABYTE
from gradiend_ui.figures.numbers import percent, signed, three_digits
from gradiend_ui.ui.kit.remarks import told_remark
from gradiend_ui.ui.kit.tree import Node, explained, facts, node, pick
from gradiend_ui.ui.kit.words import Words

SWAP, DIRECTIONS, FILES, BASE, CHAT_ON, CHAT_OFF, DATA = (
    "swap",
    "directions",
    "files",
    "base",
    "chat_on",
    "chat_off",
    "data",
)
OPEN_DIRECTIONS = (
    "undirected_silent",
    "undirected_same_sign",
    "undirected_zero_mean",
    "undirected_one_class",
    "undirected_pair_unknown",
    "undirected_step_unknown",
    "undirected_stated_zero",
    "undirected_stated_one",
    "undirected_stated_same",
    "undirected_older",
)
"""Why the direction of a class is not known, as `engine.checkpoint.direction` and `server.answers` call it."""
CORRECTIONS: Mapping[str, tuple[str, ...]] = {
    "direction_given": (SWAP, DIRECTIONS, FILES),
    "direction_from_training": (SWAP, DIRECTIONS),
    "direction_from_middle": (SWAP, DIRECTIONS),
    "direction_contradicted": (SWAP, DIRECTIONS),
    **dict.fromkeys(OPEN_DIRECTIONS, (DIRECTIONS,)),
    "source_assumed": (SWAP, DIRECTIONS),
    "seed_chosen": (),
    "base_given": (BASE,),
    "base_beside": (BASE,),
    "chat_prompt": (CHAT_OFF,),
    "chat_prompt_off": (CHAT_ON,),
    "rows_recovered": (DATA,),
    "neutral_recovered": (DATA,),
    "neutral_rows": (DATA,),
}
"""What was assumed: the corrections that are offered for it."""
CHANGES: Mapping[str, Mapping[str, bool]] = {
    SWAP: {"swap": True},
    FILES: {"as_files_say": True},
    CHAT_ON: {"chat_prompt": True},
    CHAT_OFF: {"chat_prompt": False},
}
"""A correction that needs no further question: how the checkpoint is read again, see `Uploads.reload`."""


def build_loading(words: Words) -> Node:
    """The card before the first model is there: its shape, and what is being done."""
    lines = [node("span", cls="bone", aria_hidden="true") for _ in range(6)]
    steps = [node("li", words(f"load.loading_{step}")) for step in ("read", "base", "time")]
    return node(
        "div",
        node("h2", words("load.title")),
        node("div", node("p", words("load.loading")), node("ol", *steps), role="status", cls="skeleton-text"),
        node("div", *lines, cls="bones"),
        cls="health loading",
    )


def build_empty(words: Words, sentence: str) -> Node:
    """No model: why, and what to do."""
    return node(
        "div",
        node("h2", words("load.title")),
        node("p", sentence, cls="danger", role="alert"),
        node("p", words("load.empty"), cls="quiet"),
        cls="health",
    )


def build_health(card: Card, words: Words, own: Sequence[str] = ()) -> Node:
    """Short: what it is, which way it pushes, whether it can be trusted. own: see `build_assumed`."""
    how = objective_named(card["objective"])
    objective = explained(
        words.given(f"load.objective_{how.name}", how.labels), words.given(f"load.objective_{how.name}_help", how.helps)
    )
    tells_recovered = card["rows_recovered"] is not None and "rows_recovered" not in own
    return node(
        "div",
        node("h2", words("load.title"), node("small", str(card["name"]))),
        facts(
            (words("load.base"), node("span", f"{card['base_model']}, ", objective)),
            _directions(card, words),
            (words("load.learned_on"), _learned(card, words)),
            (words("load.encoder"), _training(card, words)),
            (words("load.memory"), _memory(card["memory"], words)),
            (words("load.rows"), _recovered(card, words)) if tells_recovered else None,
            (words("load.seeds"), _seeds(card["seeds"], words)) if card["seeds"] else None,
        ),
        _notes(card["notes"], words),
        cls="health",
    )


def build_assumed(card: Card, words: Words, own: Sequence[str] = ()) -> Node:
    """What was assumed, each with its corrections. own: codes that data of one's own has made pointless."""
    assumed = [item for item in card["assumed"] if item["what"] not in own]
    if not assumed:
        return node("div", hidden="hidden")
    lines = [node("li", _sentence(item, words), *_corrections(item["what"], words)) for item in assumed]
    is_open = all(item["what"] in OPEN_DIRECTIONS for item in assumed)
    summary = node("summary", words("load.to_choose") if is_open else words.counted("load.assumed", len(assumed)))
    return node("details", summary, node("ul", *lines), cls="assumed")


def build_finished(card: Card, opened: str | None, words: Words) -> Node:
    """Every finished sweep beside the checkpoint but the one that is open, each with a button that opens it."""
    sweeps = [sweep for sweep in card["finished_sweeps"] if sweep["file"] != opened]
    if not sweeps:
        return node("div", hidden="hidden")
    lines = [
        node("li", node("span", _told(sweep, words)), pick(sweep["file"], words("load.open_finished"), cls="small"))
        for sweep in sweeps
    ]
    return node("div", node("p", words.counted("load.finished", len(sweeps))), node("ul", *lines), cls="finished")


def size(count: int | None, words: Words) -> str:
    """Bytes as people read them: `168416764 -> "161 MB"`."""
    if count is None:
        return words("load.unknown")
    if count >= GIGABYTE:
        return f"{three_digits(count / GIGABYTE)} GB"
    return f"{three_digits(count / MEGABYTE)} MB"


def _directions(card: Card, words: Words) -> tuple[str, Node]:
    factors = card["strengthening_feature_factor"]
    lines = [
        node("span", words("load.pushes", factor=signed(factors[name]), name=name), cls="direction")
        for name in card["classes"]
        if factors.get(name)
    ]
    why = _why_open(card, words)
    if why or not lines:
        lines.append(node("span", words("load.direction_unknown"), cls="direction danger"))
    told = explained(node("span", *lines), words.help("load.directions"), cls="block")
    return words("load.directions"), node("span", told, node("span", why, cls="direction quiet")) if why else told


def _why_open(card: Card, words: Words) -> str:
    """Why the direction of a class is not known; "" where it is."""
    found = next((item for item in card["assumed"] if item["what"] in OPEN_DIRECTIONS), None)
    return "" if found is None else words(f"load.{found['what']}", **found["values"])


def _learned(card: Card, words: Words) -> Node:
    share = card["mapped_weights"] / card["base_weights"] if card["base_weights"] else None
    source = explained(words(f"load.source_{card['source']}"), words.help(f"load.source_{card['source']}"))
    weights = explained(words("load.share", share=percent(share)), words.help("load.share"))
    return node("span", source, "; ", weights)


def _training(card: Card, words: Words) -> Node:
    correlation = words("load.correlation", value=three_digits(card["correlation"]))
    told = explained(correlation, words.help("load.correlation"))
    if card["converged"] is None:
        return node("span", told)
    name = "converged" if card["converged"] else "not_converged"
    cls = "" if card["converged"] else "danger"
    return node("span", told, ", ", explained(words(f"load.{name}"), words.help(f"load.{name}"), cls=cls))


def _memory(memory: MemoryNeeded, words: Words) -> Node:
    needed, free = memory["needed"], memory["free"]
    text = words("load.memory_of", needed=size(needed, words), free=size(free, words))
    if needed is not None and free is not None and needed > free:
        return explained(f"{text}: {words('load.memory_short')}", words.help("load.memory"), cls="danger")
    return explained(text, words.help("load.memory"))


def _recovered(card: Card, words: Words) -> Node:
    return explained(words("load.recovered", count=card["rows_recovered"]), words.help("load.recovered"))


def _seeds(seeds: Sequence[Seed], words: Words) -> Node:
    """Every seed of the run with its encoder's correlation; the best is marked, others that were kept can be opened."""
    lines = [node("li", *_seed(seed, words)) for seed in seeds]
    return node("ul", *lines, cls="seeds", tabindex="0", aria_label=words("load.seeds"))


def _seed(seed: Seed, words: Words) -> list[Node | str]:
    told = [f"{seed['seed']}: {three_digits(seed['correlation'])}"]
    told += [words("load.best")] if seed["best"] else []
    told += [words("load.not_converged")] if seed["converged"] is False else []
    told += [] if seed["kept"] else [words("load.not_kept")]
    is_open = seed.get("open", False)
    told += [words("load.is_open")] if is_open else []
    line: list[Node | str] = [node("span", ", ".join(told))]
    if seed["kept"] and not is_open:
        label = words("load.open_seed_label", seed=seed["seed"])
        line.append(pick(str(seed["seed"]), words("load.open_seed"), cls="small", aria_label=label))
    return line


def _sentence(item: Assumed, words: Words) -> Node:
    """In the page's language where it is a known assumption, as the engine says it otherwise."""
    if item["what"] not in CORRECTIONS:
        return node("span", told_remark(str(item["sentence"]), words))
    key = item["what"] if item["what"] in OPEN_DIRECTIONS else f"assumed_{item['what']}"
    return node("span", words(f"load.{key}", **item["values"]))


def _corrections(what: str, words: Words) -> list[Node]:
    return [pick(name, words(f"load.correct_{name}"), cls="small") for name in CORRECTIONS.get(what, ())]


def _told(sweep: FoundSweep, words: Words) -> str:
    """What one finished sweep is: cells, goal, classes, split, part, who wrote it."""
    goal = words(f"load.sweep_{sweep['goal'] or 'scores'}", classes=words("load.and").join(map(str, sweep["classes"])))
    pieces = [words.counted("load.cells", sweep["cells"]), goal, words("load.split", split=sweep["split"])]
    pieces += [] if sweep["part"] == "decoder" else [words("load.part", part=sweep["part"])]
    pieces += [words("load.written_by", program=sweep["written_by"])] if sweep.get("written_by") else []
    return ", ".join(pieces)


def _notes(notes: Sequence[str], words: Words) -> Node | None:
    """One note is there to be read; several are folded."""
    if not notes:
        return None
    if len(notes) == 1:
        return node("div", node("p", told_remark(notes[0], words)), cls="warnings")
    summary = node("summary", words.counted("load.notes", len(notes)))
    return node("details", summary, *(node("p", told_remark(text, words)) for text in notes), cls="warnings")
