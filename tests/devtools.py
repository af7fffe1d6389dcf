"""Debian's Chromium without a window, driven over its DevTools protocol through a pipe: nothing to install beside it.

Protocol: https://chromedevtools.github.io/devtools-protocol/. With `--remote-debugging-pipe` Chromium reads commands
from file descriptor 3 and writes answers and events to 4, each a JSON document ended by a zero byte.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

import pytest
from programs import ROOT

SHOTS = ROOT / "build" / "browser"


def high_pipe():
    """A pipe whose ends are not those that Chromium wants to have."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high


class Chromium:
    """One browser with one page. `events` are all that it has reported, as (method, parameters)."""

    def __init__(self, profile):
        program = shutil.which("chromium") or shutil.which("google-chrome")
        assert program, "there is no chromium: apt-get install chromium"
        # Chromium refuses to sandbox itself for root, as which containers run.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        (commands, self.writer), (self.reader, answers) = high_pipe(), high_pipe()
        self.events, self.count, self.buffer = [], 0, b""
        command = [
            program,
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
            *sandbox,
            "about:blank",
        ]
        # The shell puts the pipe's ends where Chromium expects them; Debian's `sh` knows no descriptors above 9.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{commands} 4>&{answers} && exec "$@"', "bash", *command],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self.session = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method, **parameters):
        """The answer to one command; an `AssertionError` where Chromium refuses it."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive(60)
            if answer.get("id") == self.count:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _receive(self, seconds):
        deadline = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reader], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"chromium said nothing for {seconds} s"
            part = os.read(self.reader, 1 << 20)
            assert part, "chromium has ended"
            self.buffer += part
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        return message

    def open(self, url, width, height, dark=False, touch=False):
        """Load `url` in a window of this size (CSS pixels) and wait until it has."""
        self.size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.send("Emulation.setDeviceMetricsOverride", **self.size)
        self.send("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        loaded = len(self.of("Page.loadEventFired"))
        self.send("Page.navigate", url=url)
        while len(self.of("Page.loadEventFired")) == loaded:
            self._receive(60)

    def of(self, method):
        """The parameters of all events of one kind."""
        return [parameters for name, parameters in self.events if name == method]

    def run(self, script):
        """The value of a JavaScript expression."""
        answer = self.send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def middle(self, selector):
        """Where the first element that fits `selector` is, scrolled into view: (x, y)."""
        box = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center', inline: 'center'}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return {"x": box[0], "y": box[1]}

    def click(self, selector):
        """A real click of the mouse."""
        at = self.middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def hover(self, selector):
        """Move the mouse there."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", **self.middle(selector))

    def tap(self, selector):
        """A finger's tap."""
        self.send(
            "Input.dispatchTouchEvent", type="touchStart", touchPoints=[self.middle(selector)]
        )
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screenshot(self, path):
        """The whole page as PNG, in a window as high as the page."""
        height = self.run("document.documentElement.scrollHeight")
        self.send("Emulation.setDeviceMetricsOverride", **{**self.size, "height": height})
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))
        self.send("Emulation.setDeviceMetricsOverride", **self.size)

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        os.close(self.writer)
        os.close(self.reader)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    SHOTS.mkdir(parents=True, exist_ok=True)
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
