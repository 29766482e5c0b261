"""An upload's form while it comes in: it has files, under the name that is read, and little beside them.

Gradio keeps in memory what is no file, opens a file for each part, and leaves behind what it had written when a form
breaks off. Here each piece is looked at before Gradio reads it, with the same parser. Knows no visitor, and nothing of
what is in the files.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.formparsers import MultiPartException

from gradiend_ui.engine.errors import shown
from gradiend_ui.server.door.asgi import App, Message, Receive, Send
from gradiend_ui.server.door.raw_calls import Refusal

FILES = b"files"
"""The name of the form's files that Gradio reads."""
MOST_PARTS, MOST_BESIDE = 64, 2**20
"""Parts of a form, and bytes of it that are no file's: fields without a file name, and the headers of all parts."""
MOST_HEADERS = 8192
"""Bytes of the headers of one part."""
NO_FORM = "The upload is no whole form with a file in it (multipart/form-data): send it again."
BROKEN_OFF = "The upload broke off, or took too long: send it again."
LONGER = "More came than the announced Content-Length: send the upload again with its true length."


class Form:
    """What of a form has come in so far; `refusal` says what is wrong with it.

    A part is taken as Gradio takes it: a file where its last Content-Disposition has a file name. files_only: no other
    parts; Gradio cannot tell how far they have come.
    """

    def __init__(self, content_type: str, *, files_only: bool = False) -> None:
        self._files_only = files_only
        self.refusal: Refusal | None = None
        self._ended = False
        self._parts = self._beside = self._headers = 0
        self._is_file = False
        self._field, self._value, self._disposition = b"", b"", b""
        _, options = parse_options_header(content_type)
        callbacks: Any = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_field,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_end": self._end,
        }
        self._parser: MultipartParser | None = None
        try:
            self._parser = MultipartParser(options.get(b"boundary", b""), callbacks)
        except FormParserError:
            self._refuse(400, NO_FORM)

    def look_at(self, piece: bytes, *, is_last: bool) -> None:
        """Read on; once something is wrong, nothing more is read."""
        if self.refusal is not None or self._parser is None:
            return
        try:
            self._parser.write(piece)
        except _Refused:
            return
        except FormParserError:
            self._refuse(400, NO_FORM)
            return
        if is_last and not (self._ended and self._parts):
            self._refuse(400, NO_FORM)

    def _refuse(self, status: int, sentence: str) -> None:
        self.refusal = self.refusal or Refusal(status, sentence)

    def _stop(self, status: int, sentence: str) -> None:
        """Refuse, and read no further."""
        self._refuse(status, sentence)
        raise _Refused

    def _begin_part(self) -> None:
        self._parts += 1
        self._is_file, self._headers = False, 0
        self._field, self._value, self._disposition = b"", b"", b""
        if self._parts > MOST_PARTS:
            self._stop(413, f"The form has more than {MOST_PARTS} parts: send fewer files at once.")

    def _count(self, size: int) -> None:
        self._beside += size
        if self._beside > MOST_BESIDE:
            most = f"{MOST_BESIDE / 2**20:,.0f} MB"
            self._stop(413, f"The form has more than {most} beside its files: send each file with its name (filename).")

    def _count_header(self, size: int) -> None:
        self._count(size)
        self._headers += size
        if self._headers > MOST_HEADERS:
            self._stop(413, f"A part of the form has over {MOST_HEADERS:,} bytes of headers: send it without them.")

    def _add_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._field += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        name, self._is_file = options.get(b"name"), b"filename" in options
        if name is None:
            self._stop(400, NO_FORM)
        elif self._is_file and name != FILES:
            told = shown(name.decode(errors="replace"))
            self._stop(400, f"A file came under the name {told}: send files under the name 'files'.")
        elif not self._is_file and (name == FILES or self._files_only):
            told = shown(name.decode(errors="replace"))
            self._stop(400, f"What came under the name {told} is no file: send it with its name (filename).")
        elif self._is_file and not is_file_name(options[b"filename"].decode(errors="replace")):
            self._stop(400, "A file has a name without a letter or digit: send it under another name.")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._count(end - start)

    def _end(self) -> None:
        self._ended = True


def is_file_name(name: str) -> bool:
    """Whether a file can be kept under it: Gradio leaves out folders and odd signs. It invents one for none at all."""
    return not name or any(letter.isalnum() for letter in PurePosixPath(name).name)


class _Refused(Exception):
    """Ends the reading of a form."""


class Upload:
    """The messages of an upload on their way to the app, as far as nothing is wrong with them.

    announced: how many bytes shall come. form: reads them; None where what comes is not looked at as one.
    """

    def __init__(self, receive: Receive, announced: int, form: Form | None) -> None:
        self._receive = receive
        self._left = announced
        self._form = form
        self._whole = False
        self.refusal: Refusal | None = None

    async def handed_to(self, app: App, scope: Message, send: Send) -> None:
        """Have the app take it. Nothing of its answer is sent once there is a `refusal`, which is then to be told."""

        async def send_unless_refused(message: Message) -> None:
            if self.refusal is None:
                await send(message)

        try:
            await app(scope, self.receive, send_unless_refused)
        except MultiPartException:
            if self.refusal is None:
                raise

    async def receive(self) -> Message:
        """The next message. Raises MultiPartException where the upload is refused: of this Gradio clears up."""
        if self.refusal is not None:
            raise MultiPartException(self.refusal.sentence)
        message = await self._receive()
        if not self._whole:
            self.refusal = self._looked_at(message)
        if self.refusal is not None:
            raise MultiPartException(self.refusal.sentence)
        return message

    def _looked_at(self, message: Message) -> Refusal | None:
        if message["type"] == "http.disconnect":
            return Refusal(400, BROKEN_OFF)
        piece, self._whole = message.get("body", b""), not message.get("more_body")
        self._left -= len(piece)
        if self._left < 0:
            return Refusal(413, LONGER)
        if self._form is None:
            return None
        self._form.look_at(piece, is_last=self._whole)
        return self._form.refusal
