"""Gathers the images of all requests into batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

GATHER_S = 0.002  # how long the first image of a batch waits for others


class Batches:
    """Passes prepared images to a network in batches.

    It is an asynchronous context manager, which processes all waiting images before it exits.

    Args:
        probabilities: the network, a function from a list of prepared images to (N, classes).
        size: the largest batch.
    """

    def __init__(self, probabilities: Callable, size: int):
        self.probabilities = probabilities
        self.size = size
        self.waiting: asyncio.Queue = asyncio.Queue()
        self.thread = ThreadPoolExecutor(1, "network")

    async def answer(self, prepared: np.ndarray) -> np.ndarray:
        """The probabilities of a prepared image."""
        answer = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((prepared, answer))
        return await answer

    async def __aenter__(self) -> Batches:
        self.task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_) -> None:
        self.waiting.put_nowait(None)
        await self.task
        self.thread.shutdown()

    async def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = await self._gather()
            if batch:
                await self._answer(batch)

    async def _gather(self) -> tuple[list, bool]:
        """The images of a batch, and whether no more will come."""
        batch = [await self.waiting.get()]
        if self.waiting.empty() and batch[0] is not None:
            await asyncio.sleep(GATHER_S)
        while batch[-1] is not None and len(batch) < self.size and not self.waiting.empty():
            batch.append(self.waiting.get_nowait())
        ended = batch[-1] is None
        return batch[: len(batch) - ended], ended

    async def _answer(self, batch) -> None:
        loop = asyncio.get_running_loop()
        images = [prepared for prepared, _ in batch]
        try:
            found = await loop.run_in_executor(self.thread, self.probabilities, images)
        except Exception as error:
            found = [error] * len(batch)
        for (_, answer), each in zip(batch, found):
            if answer.done():  # the client has gone
                continue
            if isinstance(each, Exception):
                answer.set_exception(each)
            else:
                answer.set_result(each)
