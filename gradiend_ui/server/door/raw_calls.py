"""What a posted or fetched call must look like before Gradio reads it: its body, its fields, its count of values.

Gradio answers a call that does not fit a function with nothing at all and a traceback in the log. Here each is told
what was wrong in a sentence. Knows the functions' names and counts, and no value's meaning.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from gradiend_ui.engine.errors import shown

BY_NUMBER = "predict"
"""The name under which a page calls a function by its number, on the ways in `NUMBERED`."""
NUMBERED = ("run", "api")
LONGEST_PAGE_NAME, LONGEST_TOKEN, LONGEST_NAME = 64, 4096, 80
MOST_NUMBER = 2**53
MOST_DEPTH = 60
"""Lists and objects in one another; no function takes more than a few."""
NOT_JSON = 'The request is no JSON: send an object such as {"data": [...]}.'
TOO_DEEP = f"The request has over {MOST_DEPTH} lists and objects in one another: send values that are less nested."
LONG_NUMBER = f"The request holds a whole number of over {sys.get_int_max_str_digits():,} digits: send a shorter one."
NO_TOKEN, KEY = "oauth_token", "key"
Sends = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""How ASGI sends a message."""


@dataclass(frozen=True)
class Refusal:
    status: int
    sentence: str


@dataclass(frozen=True)
class Called:
    """A function as its callers see it.

    inputs: how many values a page sends, with those that it keeps for itself. arguments: the names of the others.
    optional: those of them that may be left out where they are given by name. runs: False for what a page does alone.
    """

    name: str
    inputs: int
    arguments: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    runs: bool = True


@dataclass(frozen=True)
class Functions:
    """All functions by number, and the numbers of the public ones by name.

    page_waits, event_waits: whether messages wait for a page, or for an event's caller. Asking for others would never
    end, or end in an error.
    """

    by_number: Mapping[int, Called] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    page_waits: Callable[[str], bool] = lambda page: True
    event_waits: Callable[[str], bool] = lambda event: True


def parsed(body: bytes) -> dict[str, Any] | Refusal:
    """The call as an object, or why it is none."""
    try:
        content = json.loads(body.decode("utf-8-sig"))
    except RecursionError:
        return Refusal(400, TOO_DEEP)
    except (UnicodeDecodeError, json.JSONDecodeError):
        return Refusal(400, NOT_JSON)
    except ValueError:  # what Python says of a whole number that takes too long to read
        return Refusal(400, LONG_NUMBER)
    if is_deep(content):
        return Refusal(400, TOO_DEEP)
    if not isinstance(content, dict):
        return Refusal(400, f'The request must be an object such as {{"data": [...]}}, not {shown(content)}.')
    return content


def is_deep(content: object, most: int = MOST_DEPTH) -> bool:
    """Whether it has more lists and objects in one another."""
    level = [content]
    for _ in range(most + 1):
        nested = [value for value in level if isinstance(value, (list, dict))]
        if not nested:
            return False
        level = [inner for value in nested for inner in (value.values() if isinstance(value, dict) else value)]
    return True


def is_json(content_type: str) -> bool:
    """Whether a Content-Type says JSON."""
    kind, _, rest = content_type.partition(";")[0].strip().lower().partition("/")
    return kind == "application" and (rest == "json" or rest.endswith("+json"))


def misfit(way: str, name: str | None, call: Mapping[str, Any], functions: Functions) -> Refusal | None:
    """What of a call does not fit the function that it is for; None where it fits.

    way: the path behind the API's prefix without the name: queue/join, run, api, call, call/v2, cancel, reset. name: of
    a public function, or `BY_NUMBER` where the way takes numbers; None where the way has none.
    """
    if way == "call/v2":
        return _misnamed(functions, str(name), call)
    sentence = _wrong_field(way, call)
    if sentence is not None:
        return Refusal(400, sentence)
    if way in ("cancel", "reset"):
        return None
    if name is not None and not is_by_number(way, name):
        return _misfit_by_name(way, name, call, functions)
    number = call.get("fn_index")
    called = functions.by_number.get(number) if type(number) is int else None
    if called is None or not called.runs:
        return Refusal(404, f"There is no function with the fn_index {shown(number)}: see the API's list.")
    return _miscounted(call["data"], called, called.inputs)


def with_statuses(send: Sends) -> Sends:
    """The same for the answer to a call whose refusal Gradio sends as a broken server's (500): it is the caller's (400)
    unless its code is "failed"."""
    begun: list[MutableMapping[str, Any]] = []

    async def send_with_status(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] == 500:
            begun.append(message)  # until it is known what it says
            return
        while begun:
            status = 400 if _is_refusal(message.get("body", b"")) else 500
            await send({**begun.pop(), "status": status})
        await send(message)

    return send_with_status


def _is_refusal(body: bytes) -> bool:
    told = parsed(body)
    sentence = told.get("error") if isinstance(told, dict) else None
    return isinstance(sentence, str) and not sentence.startswith("[failed]")


def is_by_number(way: str | None, name: str | None) -> bool:
    """Whether the function of a call is told by its number; under call/ Gradio knows names only."""
    return name is None or (name == BY_NUMBER and way in NUMBERED)


def _misfit_by_name(way: str, name: str, call: Mapping[str, Any], functions: Functions) -> Refusal | None:
    number = functions.numbers.get(name)
    if number is None:
        return Refusal(404, f"There is no public function {name[:LONGEST_NAME]!r}.")
    given = call.get("fn_index")
    if way != "call" and given is not None and (type(given) is not int or given != number):
        return Refusal(400, f"fn_index is {shown(given)}, and /{name} is another function: leave fn_index out.")
    called = functions.by_number[number]
    counts = {called.inputs, len(called.arguments)} if way == "call" else {called.inputs}
    if called.arguments and called.arguments[-1] == KEY:  # may be left out, see `api.let_keys_be_left_out`
        counts.add(len(called.arguments) - 1)
    return None if len(call["data"]) in counts else _miscounted(call["data"], called, len(called.arguments))


def _miscounted(data: list[Any], called: Called, takes: int) -> Refusal | None:
    if len(data) == takes:
        return None
    named = f" ({', '.join(called.arguments)})" if called.arguments else ""
    values = "value" if takes == 1 else "values"
    return Refusal(
        400, f"/{called.name} takes {takes} {values}{named}, and {len(data)} came: send exactly these as the list data."
    )


def _misnamed(functions: Functions, name: str, call: Mapping[str, Any]) -> Refusal | None:
    """What is wrong with values that are given by name."""
    number = functions.numbers.get(name)
    if number is None:
        return Refusal(404, f"There is no public function {name[:LONGEST_NAME]!r}.")
    called = functions.by_number[number]
    takes = f"/{name} takes {', '.join(called.arguments)}"
    unknown = sorted(set(call) - {*called.arguments, NO_TOKEN})
    if unknown:
        return Refusal(400, f"{takes}, and no {shown(unknown[0])}.")
    missing = [argument for argument in called.arguments if argument not in call and argument not in called.optional]
    return Refusal(400, f"{takes}: {missing[0]} is missing.") if missing else None


def _wrong_field(way: str, call: Mapping[str, Any]) -> str | None:
    """A sentence for the first field of the call that is not of its kind."""
    session, is_event = call.get("session_hash"), way in ("cancel", "reset")
    if (session is not None or way in ("queue/join", "cancel")) and not is_page_name(session):
        return f"session_hash must be a text of 1 to {LONGEST_PAGE_NAME} letters, not {_told(session)}."
    event = call.get("event_id")
    if (event is not None or is_event) and not is_page_name(event):
        return f"event_id must be the text that an earlier answer gave, not {_told(event)}."
    if way == "cancel" and not _is_number(call.get("fn_index")):
        return f"fn_index must be a whole number, not {_told(call.get('fn_index'))}."
    if not is_event and not isinstance(call.get("data"), list):
        return f"data must be the list of the function's values, not {_told(call.get('data'))}."
    trigger, token = call.get("trigger_id"), call.get(NO_TOKEN)
    if trigger is not None and not _is_number(trigger):
        return f"trigger_id must be a whole number or left out, not {_told(trigger)}."
    if call.get("batched") not in (None, False):
        return f"batched must be false or left out, not {_told(call['batched'])}: calls are made one by one."
    if not isinstance(call.get("simple_format", False), bool):
        return f"simple_format must be true or false, not {_told(call['simple_format'])}."
    if token is not None and not (isinstance(token, str) and len(token) <= LONGEST_TOKEN):
        return f"{NO_TOKEN} must be a text or left out."
    return None


def is_page_name(name: object) -> bool:
    """Whether a page, or an event, can be called so."""
    return isinstance(name, str) and 0 < len(name) <= LONGEST_PAGE_NAME and name.isprintable()


def _is_number(value: object) -> bool:
    return type(value) is int and abs(value) <= MOST_NUMBER


def _told(value: object) -> str:
    return "nothing" if value is None else shown(value)
