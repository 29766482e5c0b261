"""What the server hands out beside Gradio: plotly.js from the installed package, the style sheet, security headers.

No request of the page leaves the machine; the content policy enforces it. Knows nothing of sweeps.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from gradiend_ui.server.door.gate import Doors, Gate
from gradiend_ui.server.door.visitors import Visitors

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ASSETS = Path(__file__).resolve().parents[3] / "assets"
STYLES = tuple(
    ASSETS / "css" / f"{name}.css" for name in ("page", "load", "data", "sweep", "grid", "compare", "export", "runs")
)
SCRIPT = ASSETS / "page.js"
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
PLOTLY_URL = f"/app-static/plotly.min.js?v={version('plotly')}"

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
FRAMES_LOCAL = "; frame-ancestors 'self'"
FRAMES_SPACE = "; frame-ancestors 'self' https://huggingface.co"


def style_url() -> str:
    """Changes with the file's content, so that it can be cached for good."""
    return f"/app-static/app.css?v={sha256(style()).hexdigest()[:12]}"


def script_url() -> str:
    return f"/app-static/page.js?v={sha256(SCRIPT.read_bytes()).hexdigest()[:12]}"


def style() -> bytes:
    """The style sheets of the page and its steps as one."""
    return b"\n".join(path.read_bytes() for path in STYLES)


def page_head() -> str:
    return (
        f'<link rel="stylesheet" href="{style_url()}"><meta name="color-scheme" content="light dark">'
        f'<script src="{script_url()}" defer></script>'
    )


async def plotly_js(request: Request) -> FileResponse:
    return FileResponse(plotly_file(), media_type="text/javascript", headers=FOREVER)


async def style_sheet(request: Request) -> Response:
    return Response(style(), media_type="text/css", headers=FOREVER)


async def page_js(request: Request) -> FileResponse:
    return FileResponse(SCRIPT, media_type="text/javascript", headers=FOREVER)


def plotly_file() -> Path:
    """plotly.min.js inside the installed package, found without importing it."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("The plotly package is not installed: pip install -r requirements.txt")
    return Path(next(iter(spec.submodule_search_locations))) / "package_data" / "plotly.min.js"


class SecurityHeaders:
    """Plain ASGI middleware: adds the content policy to every answer and leaves streaming alone."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]], policy: str) -> None:
        self.app = app
        self.headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
        ]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self.headers]}
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def app_kwargs(doors: Doors, visitors: Visitors) -> dict[str, object]:
    """For `launch(app_kwargs=)`: the routes and the middleware."""
    policy = POLICY + (FRAMES_SPACE if os.environ.get("SPACE_ID") else FRAMES_LOCAL)
    return {
        "routes": [
            Route("/app-static/plotly.min.js", plotly_js),
            Route("/app-static/app.css", style_sheet),
            Route("/app-static/page.js", page_js),
        ],
        "middleware": [
            Middleware(SecurityHeaders, policy=policy),
            Middleware(Gate, doors=doors, visitors=visitors),
        ],
    }
