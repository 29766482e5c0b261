"""An open page without a browser: the same requests in the same order, so that many of them cost little.

Opens the page, runs the listeners of its load event, follows the run by the event stream and selects cells. Knows the
page's functions by the widget and event that they belong to, as /config tells them.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

SENTENCES = "The nurse said that [MASK] would be late.\nThe engineer said that [MASK] was tired."
KEPT_ALIVE = 2.0
"""Seconds: less than the server keeps a connection that rests, else a post may meet its end, which no browser shows."""
TIMEOUT = httpx.Timeout(60.0, read=120.0)


@dataclass(frozen=True)
class Functions:
    """Numbers of the page's functions: open the page, select a cell, the answers to it, follow the run after it."""

    open: int
    select: int
    answers: int
    follow: int


def functions_of(config: Mapping[str, Any]) -> Functions:
    """The English page's functions, found by what fires them."""
    names = {component["id"]: component["props"].get("elem_id") for component in config["components"]}
    dependencies = config["dependencies"]

    def fired_by(widget: str, event: str, name: str = "") -> int:
        return next(
            d["id"]
            for d in dependencies
            if any((names.get(t[0]), t[1]) == (widget, event) for t in d["targets"])
            and str(d["api_name"]).startswith(name)
        )

    def after(number: int, name: str) -> int:
        return next(d["id"] for d in dependencies if d["trigger_after"] == number and d["api_name"].startswith(name))

    start = fired_by("start", "click")
    to_url = next(d["id"] for d in dependencies if d["trigger_after"] == start)
    opened = next(d["id"] for d in dependencies if any(t[1] == "load" for t in d["targets"]))
    selected = (fired_by("maps", "select", name) for name in ("show_cell", "answer"))
    return Functions(opened, *selected, after(to_url, "follow_run"))


@dataclass
class PageClient:
    """One visitor's page. clicks, answers: seconds that each took. errors: sentences of what went wrong."""

    url: str
    run: str
    functions: Functions
    http: httpx.AsyncClient
    session: str = field(default_factory=lambda: secrets.token_hex(5))
    clicks: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    messages: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"origin": self.url}

    async def open(self) -> None:
        """Fetch the page and run its load event, with the run in its address."""
        page = await self.http.get(f"{self.url}/", params={"run": self.run})
        self.note(page)
        await self.queued(self.functions.open, [], url=f"{self.url}/?run={self.run}")

    async def queued(self, function: int, data: Sequence[Any], url: str = "") -> None:
        """Join the queue; the answer comes by the stream (see `follow`)."""
        body = {"data": list(data), "fn_index": function, "session_hash": self.session, "event_data": None}
        address = f"{self.url}/gradio_api/queue/join" + (f"?run={self.run}" if url else "?")
        self.note(await self.http.post(address, json=body, headers=self.headers))

    async def call(self, function: int, data: Sequence[Any], event: Any = None) -> float:
        """Call a function that is not queued; seconds until its whole answer was here."""
        body = {"data": list(data), "fn_index": function, "session_hash": self.session, "event_data": event}
        began = time.perf_counter()
        self.note(await self.http.post(f"{self.url}/gradio_api/run/predict", json=body, headers=self.headers))
        return time.perf_counter() - began

    async def stay_open(self) -> None:
        """Hold the connection by which the server knows that the page is open, until cancelled."""
        async with self.http.stream("GET", f"{self.url}/gradio_api/heartbeat/{self.session}") as answer:
            async for _ in answer.aiter_lines():
                pass

    async def follow(self) -> None:
        """Watch the run until it ends or the task is cancelled."""
        await self.queued(self.functions.follow, [self.run])
        stream = self.http.stream("GET", f"{self.url}/gradio_api/queue/data", params={"session_hash": self.session})
        async with stream as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    self.messages += 1
                    message = json.loads(line[5:])
                    if message.get("msg") == "process_completed" and not message.get("success", True):
                        self.errors.append(str(message.get("output"))[:200])

    async def click(self, cell: Mapping[str, Any], place: tuple[int, int]) -> None:
        """Select a cell and ask for the sentences' answers, as the page does."""
        value = {**cell, "how": "click", "nth": time.time(), "rev": 0}
        event = {"index": list(place), "value": value, "selected": True}
        click, answer = await asyncio.gather(
            self.call(self.functions.select, [self.run], event),
            self.call(self.functions.answers, [self.run, None, SENTENCES], event),
        )
        self.clicks.append(click)
        self.answers.append(answer)

    def note(self, answer: httpx.Response) -> None:
        if answer.status_code >= 400:
            self.errors.append(f"{answer.status_code} {answer.text[:200]}")


def client() -> httpx.AsyncClient:
    """Connections for many pages at once."""
    limits = httpx.Limits(max_connections=None, keepalive_expiry=KEPT_ALIVE)
    return httpx.AsyncClient(timeout=TIMEOUT, limits=limits)


@dataclass
class FinishedCells:
    """What there is to click on: ((row, column), cell) of every finished cell of a run, looked up now and then."""

    cells: list[tuple[tuple[int, int], dict[str, float]]] = field(default_factory=list)

    async def keep_up(self, http: httpx.AsyncClient, url: str, run: str, pause: float = 2.0) -> None:
        """Look again every `pause` seconds, until cancelled."""
        while True:
            self.cells = finished(await api(http, url, "cells", run, 0))
            await asyncio.sleep(pause)


def finished(answer: Mapping[str, Any]) -> list[tuple[tuple[int, int], dict[str, float]]]:
    """((row, column), cell) of the finished cells in an answer of /cells."""
    cells = answer["cells"]
    rows = sorted({cell["feature_factor"] for cell in cells})
    columns = sorted({cell["learning_rate"] for cell in cells})
    return [
        (
            (rows.index(cell["feature_factor"]), columns.index(cell["learning_rate"])),
            {key: cell[key] for key in ("feature_factor", "learning_rate")},
        )
        for cell in cells
        if cell["status"] == "final"
    ]


async def visit(page: PageClient, known: FinishedCells, until: asyncio.Event, pause: tuple[float, float]) -> None:
    """Open the page, follow its run and click finished cells at random, with pauses, until told to go."""
    staying = asyncio.create_task(page.stay_open())
    await page.open()
    following = asyncio.create_task(page.follow())
    chance = random.Random(page.session)
    try:
        while not until.is_set():
            await asyncio.sleep(chance.uniform(*pause))
            if known.cells and not until.is_set():
                place, cell = chance.choice(known.cells)
                await page.click(cell, place)
    finally:
        for task in (following, staying):
            task.cancel()
        await asyncio.gather(following, staying, return_exceptions=True)


async def api(http: httpx.AsyncClient, url: str, name: str, *data: Any) -> Any:
    """Call a public function by name. Raises RuntimeError with its sentence."""
    joined = await http.post(f"{url}/gradio_api/call/{name}", json={"data": list(data)})
    if joined.status_code != 200:
        raise RuntimeError(f"{name}: {joined.status_code} {joined.text[:300]}")
    answer = await http.get(f"{url}/gradio_api/call/{name}/{joined.json()['event_id']}")
    event, _, rest = answer.text.partition("\n")
    content = json.loads(rest.partition("data:")[2])
    if event.partition(":")[2].strip() != "complete":
        raise RuntimeError(f"{name}: {content}")
    return content[0]
