"""What the session answered of data, as trees: the rows in use, how a table was read, neutral sets.

Values in, trees out. Knows no widget and no session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradiend_ui.engine.answers.checkpoint import Card
from gradiend_ui.engine.answers.data import (
    ChosenData,
    GivenData,
    NeutralReport,
    RowsReport,
    UnknownClass,
)
from gradiend_ui.engine.data.encodings import encoding_name
from gradiend_ui.engine.errors import LONGEST_LISTED
from gradiend_ui.figures.numbers import three_digits
from gradiend_ui.ui.data.choice import (
    NONE,
    OWN,
    ROW_WISE,
    Choice,
    OwnTexts,
    is_unusable,
    name_of,
    scored_rows,
    splits,
    table_of,
    words_of,
)
from gradiend_ui.ui.kit.remarks import told_remark
from gradiend_ui.ui.kit.tree import Node, explained, node, pick
from gradiend_ui.ui.kit.words import Words

ROLES = ("masked", "label", "label_class", "alternative", "alternative_class", "split")
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
ROUTINE = frozenset({"data.sep_line", "data.other_class", "data.other_word"})
"""Notes that nobody has to do anything about."""
MOST_COLUMNS, MOST_WORDS, MOST_NAMED = 8, 4, 6
LONG = 24
"""Characters from which a cell wants room."""
OPEN, LEFT_OUT = "", "#none"
"""Values of the dropdown of a class that the checkpoint does not know: nothing chosen yet, its rows left out."""


# --- the short panel -------------------------------------------------------------------------------------------------


def build_summary(choice: Choice, card: Card | None, words: Words) -> Node:
    """Two lines: which rows, which words."""
    if card is None:
        return node("div", node("p", "–"), node("p", "–"), cls="data-lines quiet")
    rows = explained(rows_text(choice, card, words), words.help("data.rows"))
    targets = explained(words_text(choice, card, words), words.help("data.words"))
    return node("div", node("p", rows), node("p", targets), cls="data-lines")


def rows_text(choice: Choice, card: Card, words: Words) -> str:
    counts, classes = table_of(choice, card)
    name = None if choice.own_rows is None else shown_name(choice.own_rows["rows"], words)
    if name is not None and is_unusable(choice.own_rows):
        return words("data.not_usable", name=name)
    if not counts:
        return words("data.no_rows") if name is None else words("data.own_rows_unread", name=name)
    found = splits(choice, card)
    values = {
        "split": words("data.split_all") if choice.split == "all" else choice.split,
        "count": scored_rows(choice, card),
        "total": found["all"],
        "classes": ", ".join(classes),
    }
    if name is None:
        return words("data.rows_line", **values)
    told = words("data.own_rows_line", name=name, **values)
    lost = 0 if choice.own_rows is None else choice.own_rows.get("rejected_count", 0)
    return f"{told} · {words.counted('data.rows_lost', lost)}" if lost else told


def words_text(choice: Choice, card: Card, words: Words) -> str:
    if choice.targets == ROW_WISE:
        return words("data.words_row_wise")
    if is_unusable(choice.own_rows) and not isinstance(choice.targets, Mapping):
        return words("data.words_unknown")
    found = words_of(choice, card)
    told = " · ".join(f"{name}: {few(own, words)}" for name, own in found.items())
    if not told:
        return words("data.words_unknown")
    return f"{words('data.words_own')} {told}" if isinstance(choice.targets, Mapping) else told


def few(own: Sequence[str], words: Words) -> str:
    shown = ", ".join(own[:MOST_WORDS])
    return shown if len(own) <= MOST_WORDS else f"{shown} {words('data.and_more', count=len(own) - MOST_WORDS)}"


def shown_name(given: GivenData, words: Words) -> str:
    return name_of(given) or words("data.from_script")


# --- rows ------------------------------------------------------------------------------------------------------------


def build_reading(report: RowsReport | None, name: str | None, words: Words) -> Node:
    """Which rows are in use, how they were read, how many can be scored."""
    if report is None:
        return node("div", cls="reading")
    if name is None:
        lines = [node("p", words("data.in_use_beside"))]
    else:
        in_use = "data.not_usable" if report["problem"] else "data.in_use_own"
        lines = [node("p", node("strong", words(in_use, name=name)), " ", read_as(report, words))]
    if report.get("how"):
        lines.append(node("p", words("data.guessed", columns=guessed(report["how"], words)), cls="quiet"))
    lines += [node("p", note, cls="warn" if is_odd else "quiet") for note, is_odd in notes_of(report, words)]
    lines += samples_of(report.get("samples", ()), words)
    if report["problem"]:
        problem = str(words.told(report.get("problem_text")) or report["problem"])
        lines.append(node("p", problem, cls="danger", role="alert"))
    if report["rows"] or report["rejected_count"]:
        scored = words.counted("data.scored", report["rows"])
        rejected = words.counted("data.rejected", report["rejected_count"])
        lines.append(node("p", f"{scored}, {rejected}.", cls="scored"))
    if report["dropped"]:
        told = ", ".join(words.counted(f"data.dropped_{kind}", count) for kind, count in report["dropped"].items())
        lines.append(node("p", words("data.dropped", reasons=told), cls="dropped"))
    return node("div", *lines, cls="reading")


def notes_of(report: RowsReport | NeutralReport, words: Words) -> list[tuple[str, bool]]:
    """(a note on how a table was read, whether it tells of something that should not be so)."""
    found = []
    for sentence, text in zip(report["notes"], report["notes_text"], strict=True):
        key = str(text[0]) if isinstance(text, list) else ""
        found.append((str(words.told(text)) if key else sentence, key not in ROUTINE))
    return found


def samples_of(samples: Sequence[str], words: Words) -> list[Node]:
    """Two rows with letters beyond ASCII: whether these look right tells whether the encoding is."""
    if not samples:
        return []
    lines = [node("li", sample) for sample in samples]
    return [node("div", node("p", words("data.samples"), cls="quiet"), node("ul", *lines), cls="samples")]


def chosen_class(one: UnknownClass) -> str:
    """What the dropdown of an unknown class shows: what was chosen, else what the class most likely means."""
    if one["counts_as"] is not None:
        return one["counts_as"] or LEFT_OUT
    return one["suggested"] or OPEN


def counts_as(names: Sequence[str], chosen: Sequence[str | None], known: Sequence[str]) -> dict[str, str]:
    """{class: what it counts as, "" to leave its rows out} of the dropdowns; those that are left open are not in it."""
    found = {name: value for name, value in zip(names, chosen, strict=False) if value == LEFT_OUT or value in known}
    return {name: "" if value == LEFT_OUT else str(value) for name, value in found.items()}


def offered(unknown: Sequence[UnknownClass], most: int) -> list[UnknownClass]:
    """Those of which can be chosen what they count as. Of more than that, the ones that are open come first: once they
    are settled the next ones follow."""
    if len(unknown) <= most:
        return list(unknown)
    return sorted(unknown, key=lambda one: one["counts_as"] is not None)[:most]


def build_unknown(unknown: Sequence[UnknownClass], most: int, words: Words) -> Node:
    """The classes of a table that the checkpoint does not know, with their rows, and what to do. most: of so many can
    be chosen at once what they count as."""
    left = [one for one in unknown if one["counts_as"] is None]
    if not unknown:
        return node("div")
    if not left:
        return node("div", node("p", words("data.unknown_settled"), cls="quiet", role="status"))
    names = ", ".join(named_class(one, words) for one in left[:MOST_NAMED])
    if len(left) > MOST_NAMED:
        names = f"{names} {words('data.and_more', count=len(left) - MOST_NAMED)}"
    why = words("data.unknown_suggested") if any(one["suggested"] for one in left) else words("data.unknown_choose")
    return node(
        "div",
        node("p", words("data.unknown_classes", names=names), cls="warn", role="status"),
        node("p", why, cls="quiet"),
        node("p", words("data.unknown_next", most=most), cls="quiet") if len(left) > most else None,
    )


def named_class(one: UnknownClass, words: Words) -> str:
    """A class that the checkpoint does not know, with its rows; a long name cut off."""
    name = one["name"] if len(one["name"]) <= LONGEST_LISTED else f"{one['name'][: LONGEST_LISTED - 1]}…"
    return words.counted("data.unknown_class", one["count"], name=name)


def guessed(how: Mapping[str, str], words: Words) -> str:
    """Which roles were found by the name of a column, and which by what its cells hold."""
    roles = {way: [words(f"data.role_{role}") for role in ROLES if how.get(role) == way] for way in ("name", "content")}
    return "; ".join(words(f"data.guess_{way}", roles=", ".join(found)) for way, found in roles.items() if found)


def read_as(report: RowsReport, words: Words) -> str:
    if not report["kind"]:
        return ""
    parts = [words("data.read_as", kind=report["kind"])]
    if report["encoding"]:
        parts.append(words("data.encoded", encoding=encoding_name(report["encoding"])))
    if report["delimiter"]:
        known = DELIMITER_NAMES.get(report["delimiter"])
        name = words(f"data.delimiter_{known}") if known else report["delimiter"]
        parts.append(words("data.separated", delimiter=name))
    parts.append(words.counted("data.columns", len(report["table_columns"])))
    parts.append(words.counted("data.rows", report["table_rows"]))
    return ", ".join(parts) + "."


def build_refusal(sentence: str) -> Node:
    return node("div", node("p", sentence, cls="danger", role="alert"), cls="reading")


def build_first_rows(report: RowsReport | None, words: Words) -> Node:
    """The first rows as a table, each column with the role it plays."""
    if not report or not report["first"]:
        return node("div")
    roles = {column: role for role, column in report.get("columns", {}).items() if column}
    names = list(report["first"][0])
    names = [name for name in names if name in roles or len(names) <= MOST_COLUMNS] or names[:MOST_COLUMNS]
    head = [
        node("th", name, node("small", words(f"data.role_{roles[name]}")) if name in roles else None, scope="col")
        for name in names
    ]
    body = [
        node("tr", *(node("td", row[name], cls="long" if len(row[name]) > LONG else "") for name in names))
        for row in report["first"]
    ]
    title = words("data.first_rows")
    table = node("table", node("caption", title), node("thead", node("tr", *head)), node("tbody", *body))
    return node("div", table, cls="first-rows", role="region", tabindex="0", aria_label=title)


def build_rejected(report: RowsReport | None, words: Words) -> Node:
    """The rows that cannot be scored, with their numbers and reasons; closed where there are many."""
    if not report or not report["rejected_count"]:
        return node("div")
    head = node("tr", *(node("th", words(f"data.rejected_{name}"), scope="col") for name in ("row", "reason")))
    rows = [
        node("tr", node("td", str(row["number"]), cls="num"), node("td", str(words.told(row["reason_text"]))))
        for row in report["rejected"]
    ]
    more = report["rejected_count"] - len(rows)
    return node(
        "div",
        node(
            "table",
            node("caption", words("data.rejected_title")),
            node("thead", head),
            node("tbody", *rows),
        ),
        node("p", words("data.rejected_more", count=more), cls="quiet") if more else None,
        cls="rejected",
        role="region",
        tabindex="0",
        aria_label=words("data.rejected_title"),
    )


def build_time(data: ChosenData, rows: int, texts: int, words: Words) -> Node:
    """What the limits come to."""
    if data.get("unusable"):
        return node("p")
    seconds = data.get("seconds_per_cell")
    if seconds is None:
        return node("p", words("data.time_unknown", rows=rows, texts=texts), cls="quiet")
    return node("p", words("data.time_line", rows=rows, texts=texts, seconds=three_digits(seconds)), cls="quiet")


# --- neutral texts ---------------------------------------------------------------------------------------------------


def neutral_choices(choice: Choice, card: Card, words: Words) -> list[tuple[str, str]]:
    """(label, value) of everything that can be measured the LMS on."""
    found = [(f"{name} ({count})", str(name)) for name, count in card["neutral_sets"].items()]
    if choice.own_neutral is not None:
        found.append((own_texts_label(choice.own_neutral, words), OWN))
    return [*found, (words("data.neutral_none"), NONE)]


def own_texts_label(own: OwnTexts, words: Words) -> str:
    label = words("data.neutral_own")
    name = name_of(own["neutral"])
    label = f"{label}: {name}" if name else label
    return f"{label} ({own['count']})" if own.get("count") else label


def build_sets(choice: Choice, card: Card, words: Words) -> Node:
    """One line per set, with a button to switch to it."""
    lines = []
    for label, value in neutral_choices(choice, card, words):
        if value == choice.neutral_set:
            action = node("strong", f"✓ {words('data.set_in_use')}")
        else:
            action = pick(value, words("data.use_set"), aria_label=f"{words('data.use_set')}: {label}")
        lines.append(node("li", node("span", label), action))
    fallback = choice.neutral_set == NONE
    note = node("p", words("data.neutral_fallback"), cls="warn", role="status") if fallback else None
    return node("div", node("ul", *lines, cls="neutral-sets"), note)


def build_waiting(words: Words) -> Node:
    """In place of what follows from the rows while these cannot be used; why not is told where they are described."""
    return node("div", node("p", words("data.after_rows"), cls="quiet", role="status"))


def build_measuring(words: Words) -> Node:
    return node("div", node("p", words("data.measuring"), cls="quiet", role="status"), cls="measured")


def build_measured(report: NeutralReport, words: Words) -> Node:
    """Texts, tokens, base LMS, and what the share that must be kept comes to."""
    likelihood = "perplexity" in report
    tokens = "data.tokens_likelihood" if likelihood else "data.tokens"
    lms = three_digits(report["lms"])
    if likelihood:
        base = words("data.base_perplexity", lms=lms, perplexity=three_digits(report["perplexity"]))
    else:
        base = words("data.base_hits", lms=lms, hits=report["hits"], tokens=report["tokens"])
    return node(
        "div",
        node("p", node("strong", width_text(report, words)), cls="width"),
        node("p", width_detail(report, words)),
        facts_explained(
            words,
            ("data.texts", f"{report['texts']:,}"),
            (tokens, f"{report['tokens']:,}"),
            ("data.base_lms", base),
        ),
        *(node("p", note, cls="warn" if is_odd else "quiet") for note, is_odd in notes_of(report, words)),
        *samples_of(report["first"], words),
        *(node("p", told_remark(warning, words), cls="warn") for warning in report["warnings"]),
        cls="measured",
        role="status",
    )


def facts_explained(words: Words, *pairs: tuple[str, str]) -> Node:
    lines = [
        node("div", node("dt", explained(words(key), words.help(key))), node("dd", value, cls="num"))
        for key, value in pairs
    ]
    return node("dl", *lines, cls="facts wide")


def width_text(report: NeutralReport, words: Words) -> str:
    ratio = f"{report['ratio']:g}"
    if "perplexity" in report:
        limit = three_digits(report["perplexity_limit"])
        return words("data.width_likelihood", ratio=ratio, perplexity=three_digits(report["perplexity"]), limit=limit)
    return words("data.width", ratio=ratio, width=three_digits(report["width_tokens"]))


def width_detail(report: NeutralReport, words: Words) -> str:
    if "perplexity" in report:
        told = words("data.width_likelihood_detail")
    elif not report["hits"]:
        told = words("data.width_no_hit")
    else:
        told = words.counted("data.width_detail", report["may_lose"], hits=report["hits"])
    if report["scored_tokens"] < report["tokens"]:
        told += " " + words("data.partly", scored=report["scored_tokens"], tokens=report["tokens"])
    return told
