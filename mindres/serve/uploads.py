"""Reads the images of a request, from its body or a form, within limits."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading

import numpy as np
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mindres.data.images import read_image
from mindres.errors import UserError

LARGEST_BODY = 32 << 20  # bytes of a request
LARGEST_SUM = 256 << 20  # bytes of all requests that are being read or answered
MOST_IMAGES = 64  # of a request
BODY_S = 30.0  # time in which the whole body must arrive
# Other formats are never decoded: some of Pillow's start programs, or are hardly tested.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
FIELD = "file"
MANY_PIXELS = 12_000_000
one_at_a_time = threading.Lock()


class Uploads:
    """Reads bodies of requests and counts the bytes that are held in memory."""

    def __init__(self):
        self.held = 0

    async def body(self, request: Request) -> bytearray:
        """The body of a request; its bytes count as held until `release` is called.

        Raises:
            HTTPException: 413 if the body is too large, 408 if it is too slow, 503 if other
                requests hold all the memory.
        """
        stated = request.headers.get("content-length", "0")
        if stated.isdigit() and int(stated) > LARGEST_BODY:
            raise too_large()
        body = bytearray()
        try:
            await asyncio.wait_for(self._collect(request, body), BODY_S)
        except BaseException as error:
            self.release(body)
            if isinstance(error, asyncio.TimeoutError):
                raise closing(408, f"the image did not come within {BODY_S:.0f} s") from None
            raise
        return body

    async def _collect(self, request: Request, body: bytearray) -> None:
        async for part in request.stream():
            self.held += len(part)
            body += part
            if len(body) > LARGEST_BODY:
                raise too_large()
            if self.held > LARGEST_SUM:
                raise closing(503, "too much is being sent at once: try again")

    def release(self, body: bytearray) -> None:
        self.held -= len(body)


def closing(status: int, detail: str) -> HTTPException:
    """An error that closes the connection, since the rest of the body may still arrive."""
    return HTTPException(status, detail, headers={"connection": "close"})


def too_large() -> HTTPException:
    return closing(413, f"a request may have {LARGEST_BODY >> 20} MiB at most")


async def images_of(request: Request, body: bytearray) -> list[tuple[str, bytes]]:
    """The names and the bytes of the images in a request.

    Raises:
        HTTPException: 400 if there is none, or the form is damaged.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        if not body:
            raise HTTPException(400, "there is no image: send it as the body, or in a form")
        return [("image", bytes(body))]

    async def replay():
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    form = Request(request.scope, replay).form(max_files=MOST_IMAGES, max_fields=MOST_IMAGES)
    async with form as fields:
        files = [each for each in fields.getlist(FIELD) if not isinstance(each, str)]
        found = [(str(file.filename or FIELD), await file.read()) for file in files]
    if not found:
        raise HTTPException(400, f"there is no image in the form: name its fields {FIELD}")
    return found


def room_for(content: bytes):
    """A context for decoding an image, which admits only one very large image at a time.

    Raises:
        UserError: its format is not one of `FORMATS`, or its header is damaged.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            many = image.width * image.height > MANY_PIXELS
    except Image.UnidentifiedImageError:
        raise UserError(f"it is not an image in one of the formats {', '.join(FORMATS)}") from None
    except Exception as error:  # Pillow's readers raise many classes for damaged files
        raise UserError(str(error)) from None
    return one_at_a_time if many else contextlib.nullcontext()


def decode(content: bytes) -> np.ndarray:
    """Decode an image to uint8 RGB (H, W, 3), as `mindres predict` does.

    Raises:
        UserError: it is damaged, or has too many pixels.
    """
    try:
        return read_image(io.BytesIO(content))
    except UserError as error:
        raise UserError(str(error).partition(" cannot be read as an image: ")[2] or error) from None
