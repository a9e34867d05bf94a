"""The body of a request, in memory and within limits.

An image as it is, or a form with images in it. Nothing goes to disk.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from residua.images.decoding import FORMATS
from residua.server.answers import RefusedError
from residua.server.limits import Limits, Upload

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FORM = "multipart/form-data"
BINARY = "application/octet-stream"
_FIELDS = {"image", "images"}
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Part:
    """One encoded image, and what the client calls it."""

    name: str | None
    data: bytes


def media_type(request: Request) -> str:
    """The declared type of the body, without parameters; plain bytes where there is none."""
    return request.headers.get("content-type", BINARY).partition(";")[0].strip().lower()


def check_media_type(request: Request, *, only_form: bool = False) -> None:
    """Refuse bodies that announce something else than images, before they are read."""
    kind = media_type(request)
    fits = kind == FORM or (not only_form and (kind == BINARY or kind.startswith("image/")))
    if not fits:
        wanted = FORM if only_form else f"image/*, {BINARY} or {FORM}"
        raise RefusedError(
            415, "wrong-type", f"The content type must be {wanted}. Got {kind[:100]!r}."
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedError(
            415,
            "wrong-encoding",
            "The body must not be compressed: images are already. Send it without.",
        )


async def read_body(request: Request, limits: Limits, upload: Upload) -> bytes:
    """The whole body of a request.

    Refused where it is too large, too slow, or more than all uploads may hold together.
    """
    most = limits.body_bytes
    if _declared_length(request) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                if upload.taken + len(chunk) > most:
                    raise _too_large(most)
                upload.take(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        message = (
            f"The body must arrive within {limits.seconds:g} seconds. Send a smaller one, or over a"
            " faster line."
        )
        raise RefusedError(408, "upload-too-slow", message, {"Connection": "close"}) from None
    return b"".join(chunks)


def parts_of(body: bytes, content_type: str, limits: Limits) -> list[Part]:
    """The images of a body: one, or those of a form's fields ``image`` and ``images``."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        if not body:
            raise RefusedError(
                400,
                "empty-body",
                "The body must be an image. Got nothing. Send the file as it is, or as a form.",
            )
        return [Part(None, body)]
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise RefusedError(
            400, "bad-form", "A form must name its boundary in the content type. Got none."
        )
    form = _Form(limits)
    try:
        parser = MultipartParser(boundary, form.callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RefusedError(
            400, "bad-form", "The body must be a well-formed form. It is not."
        ) from error
    if not form.is_whole:
        raise RefusedError(400, "bad-form", "The form must end with its boundary. It is cut off.")
    if not form.parts:
        raise RefusedError(
            422,
            "no-image",
            "The form must hold an image in the field image (images in a batch). Got none.",
        )
    return form.parts


class _Form:
    """Collects a form's images; `python_multipart` calls back as it goes through the body."""

    def __init__(self, limits: Limits) -> None:
        self.parts: list[Part] = []
        self.is_whole = False
        self._limits = limits
        self._header, self._value, self._data = bytearray(), bytearray(), bytearray()
        self._headers: dict[str, bytes] = {}

    @property
    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._data.extend(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        if len(self.parts) == self._limits.images:
            raise RefusedError(
                413,
                "too-many-images",
                f"A request may hold at most {self._limits.images} images. Send several.",
            )
        self._headers.clear()
        self._data.clear()

    def _end_header(self) -> None:
        self._headers[self._header.decode("latin-1").lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        field = options.get(b"name", b"").decode("utf-8", "replace")
        if field not in _FIELDS:
            shown = field[:_LONGEST_NAME]
            raise RefusedError(
                422,
                "unknown-field",
                f"A form's fields must be image or images. Got {shown!r}. Rename or drop it.",
            )
        name = options.get(b"filename")
        self.parts.append(
            Part(
                None if name is None else name.decode("utf-8", "replace")[:_LONGEST_NAME],
                bytes(self._data),
            )
        )

    def _finish(self) -> None:
        self.is_whole = True


def _declared_length(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        413, "too-many-bytes", f"A request may hold at most {most:,} bytes. Send less."
    )


def not_an_image() -> RefusedError:
    """The refusal of bytes that announce none of the listed formats."""
    return RefusedError(
        415,
        "not-an-image",
        "This is not an image in a format that is decoded: " + ", ".join(FORMATS) + ".",
    )
