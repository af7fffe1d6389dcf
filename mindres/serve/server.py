"""Starts and stops the server."""

from __future__ import annotations

import contextlib
import math
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterator

import uvicorn
from PIL import Image

from mindres.errors import UserError
from mindres.files import reason
from mindres.serve.connections import Connection
from mindres.signals import NUMBERS

LAST_REQUESTS_S = 0.5  # time to accept requests that were sent before the server stops
LAST_ANSWERS_S = 60  # time to finish requests in progress when the server stops
LARGEST_HEAD = 16 << 10  # bytes
KEEP_ALIVE_S = 5


class Server(uvicorn.Server):
    """Stops on Ctrl-C and SIGTERM after finishing the requests in progress.

    Waiting connections are accepted first. A second signal stops at once.
    """

    ends_at = math.inf

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in NUMBERS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig, frame) -> None:
        if self.ends_at < math.inf:
            super().handle_exit(sig, frame)
        self.ends_at = min(self.ends_at, time.monotonic() + LAST_REQUESTS_S)

    async def on_tick(self, counter: int) -> bool:
        self.should_exit |= time.monotonic() >= self.ends_at
        return await super().on_tick(counter)


def serve(app, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve an `application` until Ctrl-C or SIGTERM.

    Args:
        app: as returned by `mindres.serve.app.application`.
        host: the address to listen on; 127.0.0.1 can be reached from this machine only.
        port: the port, or 0 for any free one.
        say: called with the server's URL once it accepts connections.

    Raises:
        UserError: the server cannot listen on this address and port.
    """
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there are stricter limits
    listener = _listener(host, port)
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=LAST_ANSWERS_S,
        h11_max_incomplete_event_size=LARGEST_HEAD,
    )
    with contextlib.closing(listener):
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{listener.getsockname()[1]}")
        Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens already, so that early clients wait instead of being refused."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise UserError(
            f"cannot listen on {host}, port {port}: {reason(error)}; choose with `host` and `port`"
        ) from None
