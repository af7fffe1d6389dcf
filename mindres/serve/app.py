"""The routes of the server: the page, `POST /predict`, `POST /explain`, `GET /healthz`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mindres.data.images import shown
from mindres.errors import UserError
from mindres.serve.batches import Batches
from mindres.serve.uploads import Uploads, decode, images_of, room_for

TOP_K = 3
MOST_WAITING = 512  # images


class Predictions:
    """Handles requests with the network of an `EndToEndFile` or a `Checkpoint`.

    An answer is sure where its probability reaches the `threshold`; with None nothing is said.
    """

    def __init__(self, file, batch_size: int, threshold: float | None = None):
        self.file = file
        self.threshold = threshold
        self.batches = Batches(file.probabilities, batch_size)
        self.uploads = Uploads()
        self.decoders = ThreadPoolExecutor(os.cpu_count(), "decode")
        self.waiting = 0

    async def predict(self, request: Request) -> Response:
        """The response: for each image its name, and its most probable classes or an error."""
        top_k = _top_k(request, len(self.file.classes))
        async with self._images(request) as images:
            answers = await asyncio.gather(*(self._answer(*each, top_k) for each in images))
        if all("error" in answer for answer in answers):
            return JSONResponse({"error": answers[0]["error"], "images": answers}, 422)
        return JSONResponse(answers)

    async def explain(self, request: Request) -> Response:
        """The Grad-CAM picture of the most probable class of an image."""
        loop = asyncio.get_running_loop()
        async with self._images(request) as images:
            content = images[0][1]
            try:
                image = await loop.run_in_executor(self.decoders, self._decode, content)
            except UserError as error:
                raise HTTPException(422, str(error)) from None
            picture = await loop.run_in_executor(self.batches.thread, self.file.explain, image)
        return Response(picture, media_type="image/png")

    @contextlib.asynccontextmanager
    async def _images(self, request: Request) -> AsyncIterator[list[tuple[str, bytes]]]:
        """The images of a request, which count as waiting meanwhile."""
        body = await self.uploads.body(request)
        try:
            images = await images_of(request, body)
            if self.waiting + len(images) > MOST_WAITING:
                busy = {"retry-after": "1"}
                raise HTTPException(503, "too many images are waiting: try again", headers=busy)
            self.waiting += len(images)
            try:
                yield images
            finally:
                self.waiting -= len(images)
        finally:
            self.uploads.release(body)

    async def _answer(self, name: str, content: bytes, top_k: int) -> dict:
        loop = asyncio.get_running_loop()
        try:
            prepared = await loop.run_in_executor(self.decoders, self._prepare, content)
        except UserError as error:
            return {"image": shown(name), "error": str(error)}
        shares = await self.batches.answer(prepared)
        best = np.argsort(-shares, kind="stable")[:top_k]
        classes = self.file.classes
        found = [
            {"class": classes[k], "index": int(k), "probability": float(shares[k])} for k in best
        ]
        answer: dict = {"image": shown(name), "predictions": found}
        if self.threshold is not None:
            answer["sure"] = bool(shares.max() >= self.threshold)
        return answer

    def _prepare(self, content: bytes) -> np.ndarray:
        with room_for(content):
            return self.file.prepare(decode(content))

    def _decode(self, content: bytes) -> np.ndarray:
        with room_for(content):
            return decode(content)


def application(file, batch_size: int, threshold: float | None = None) -> Starlette:
    """The web application for the network of an `EndToEndFile` or a `Checkpoint`."""
    predictions = Predictions(file, batch_size, threshold)
    explains = hasattr(file, "explain")
    page = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    headers = _page_headers(page)

    @contextlib.asynccontextmanager
    async def lifespan(_):
        async with predictions.batches:
            yield

    async def show(_) -> Response:
        return HTMLResponse(page, headers=headers)

    async def health(_) -> Response:
        architecture = file.metadata.get("architecture")
        facts = {
            "architecture": architecture,
            "classes": len(file.classes),
            "explains": explains,
        }
        return JSONResponse({"status": "ok", **facts})

    routes = [
        Route("/", show),
        Route("/healthz", health),
        Route("/predict", predictions.predict, methods=["POST"]),
    ]
    if explains:
        routes.append(Route("/explain", predictions.explain, methods=["POST"]))
    handlers = {HTTPException: _error}
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)  # type: ignore[arg-type]


async def _error(_, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


def _top_k(request: Request, classes: int) -> int:
    asked = request.query_params.get("top_k", str(TOP_K))
    if not (asked.isascii() and asked.isdigit() and len(asked) < 6 and int(asked)):
        raise HTTPException(400, "top_k must be a whole number of at least 1")
    return min(int(asked), classes)


def _page_headers(page: str) -> dict[str, str]:
    """Headers that allow only the page's own script and style, and requests to this server."""
    inside = {tag: re.search(f"<{tag}>(.*?)</{tag}>", page, re.S) for tag in ("script", "style")}
    hashes = {
        tag: base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()
        for tag, found in inside.items()
        if found
    }
    rules = [f"{tag}-src 'sha256-{digest}'" for tag, digest in hashes.items()]
    rules += ["connect-src 'self'", "img-src blob: data:", "frame-ancestors 'none'"]
    policy = "; ".join(["default-src 'none'", "base-uri 'none'", "form-action 'none'", *rules])
    return {"content-security-policy": policy, "x-content-type-options": "nosniff"}
