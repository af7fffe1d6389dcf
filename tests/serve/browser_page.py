"""The server's page in a real browser: `make test-browser`. Screenshots stay in build/browser."""

import base64
import io
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from a_run import network
from conftest import clean_environment
from devtools import SHOTS
from PIL import Image

import mindres
from mindres.export import proof

SIZES = {"phone": (375, 760), "desktop": (1280, 900)}
CLASSES = ["<b>ant</b>", *"bcdefghij"]
DROP = """(() => {
  const bytes = Uint8Array.from(atob(%s), c => c.charCodeAt(0)), files = new DataTransfer();
  files.items.add(new File([bytes], %s));
  const event = %s;
  document.getElementById("drop").dispatchEvent(event);
})()"""
DROPPED = "new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true})"
PASTED = "new ClipboardEvent('paste', {clipboardData: files, bubbles: true})"


NOTED = {"mean": [0.5] * 3, "std": [0.2] * 3, "input_size": [32, 32], "classes": CLASSES}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "net.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "SECONDS", 0.01)
        mindres.export_model(network(), path, metadata=NOTED, end_to_end=True)
    yield from listening(path)


@pytest.fixture(scope="module")
def explaining(tmp_path_factory):
    """The address of a server of a checkpoint, which can show a Grad-CAM heat map of an answer."""
    path = tmp_path_factory.mktemp("served") / "net.ckpt"
    noted = {"temperature": 1.0, "thresholds": [[0.99, 1.0, 0.0]]}
    mindres.save_checkpoint(network(), path, **NOTED, confidence=noted)
    yield from listening(path, "--precision", "0.99")


def listening(path, *flags):
    command = [sys.executable, "-m", "mindres", "serve", str(path), "--port", "0", *flags]
    server = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, text=True)
    yield server.stdout.readline().split()[2]
    server.terminate()
    assert server.wait(60) == 0


def give(browser, content, name, event):
    """Drop or paste a file on the page, and what its card then says."""
    cards = browser.run("document.querySelectorAll('.answer').length")
    content = base64.b64encode(content).decode()
    browser.run(DROP % (json.dumps(content), json.dumps(name), event))
    for _ in range(100):
        said = browser.run("document.querySelector('.answer div')?.innerText ?? ''")
        if browser.run("document.querySelectorAll('.answer').length") > cards and "…" not in said:
            return said
        time.sleep(0.1)
    raise AssertionError("the page shows no answer")


def picture():
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).resize((600, 400)).save(out, "JPEG")
    return out.getvalue()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_in_each_size_and_colour_scheme(browser, address, size, scheme):
    browser.events.clear()
    width, height = SIZES[size]
    browser.open(address, width, height, dark=scheme == "dark", touch=size == "phone")
    assert "%" in give(browser, picture(), "photo.jpg", DROPPED)
    said = give(browser, picture(), "pasted.jpg", PASTED)
    assert said.startswith("pasted.jpg") and said.count("%") == 5
    assert browser.run("document.querySelectorAll('.answer meter').length") == 10
    assert browser.run("document.querySelector('.answer img').naturalWidth") == 600
    assert browser.run("document.documentElement.scrollWidth") == width
    page, text = (
        browser.run(f"getComputedStyle(document.body).{name}")
        for name in ("backgroundColor", "color")
    )
    page, text = (sum(map(int, value[4:-1].split(","))) / 3 for value in (page, text))
    assert (page < 60 and text > 200) if scheme == "dark" else (page > 200 and text < 60)
    browser.screenshot(SHOTS / f"serve-{size}-{scheme}.png")
    browser.run("1")
    for kind in ("Runtime.exceptionThrown", "Log.entryAdded"):
        assert browser.of(kind) == [], kind
    asked = {event["request"]["url"] for event in browser.of("Network.requestWillBeSent")}
    assert all(url.startswith((address, "blob:", "data:")) for url in asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_a_heat_map_is_beside_its_answer(browser, explaining, size, scheme):
    width, height = SIZES[size]
    browser.open(explaining, width, height, dark=scheme == "dark", touch=size == "phone")
    assert "None of these is sure enough." in give(browser, picture(), "photo.jpg", DROPPED)
    heat = "document.querySelectorAll('.answer figure')[1]"
    for _ in range(100):
        if browser.run(f"{heat}?.querySelector('img').naturalWidth > 0"):
            break
        time.sleep(0.1)
    assert browser.run(f"{heat}.querySelector('img').naturalWidth") > 0
    assert "Grad-CAM" in browser.run(f"{heat}.innerText")
    assert "Grad-CAM" in browser.run(f"{heat}.querySelector('img').alt")
    assert browser.run("document.documentElement.scrollWidth") == width
    browser.screenshot(SHOTS / f"serve-explained-{size}-{scheme}.png")


def test_a_file_that_is_no_image_is_told_so(browser, address):
    browser.open(address, 1280, 900)
    assert "it is not an image" in give(browser, b"no image", "a.txt", DROPPED)


def test_names_of_classes_are_only_names(browser, address):
    browser.open(address, 1280, 900)
    give(browser, picture(), "<i>photo</i>.jpg", DROPPED)
    assert browser.run("document.querySelectorAll('.answer b b, .answer i').length") == 0


def test_the_keyboard_reaches_the_buttons(browser, address):
    browser.open(address, 1280, 900)
    reached = []
    for _ in range(2):
        for kind in ("keyDown", "keyUp"):
            browser.send(
                "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
            )
        reached.append(browser.run("document.activeElement.id"))
    assert reached == ["choose", "camera"]
    assert browser.run("document.getElementById('answers').getAttribute('aria-live')") == "polite"
