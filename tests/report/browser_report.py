"""The pages of a run and of a check in a real browser: `make test-browser`. Screenshots stay in build/browser."""

import json

import numpy as np
import pytest
from a_run import network, write_run
from devtools import SHOTS
from PIL import Image
from test_report import HOSTILE

import mindres
from mindres.cli.program import run_command
from mindres.data.digits import Digits
from mindres.data.folder import ImageFolder
from mindres.report import confusion, writer

SIZES = {"phone": (375, 760), "desktop": (1280, 900)}


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A page of a run on the digits, as a file."""
    return writer.write_report(
        write_run(
            tmp_path_factory.mktemp("run"),
            network(),
            Digits(split="test"),
            confidence={"temperature": 1.6, "thresholds": [[0.9, 0.45, 0.75], [0.95, 0.6, 0.5]]},
        )
    ).path


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """A page of a run on classes whose names are markup, one of which would run if it were not escaped."""
    root, rng = tmp_path_factory.mktemp("hostile"), np.random.default_rng(0)
    for name in HOSTILE:
        for split in ("train", "test"):
            (root / "data" / split / name).mkdir(parents=True)
            for i in range(6):
                Image.fromarray(rng.integers(0, 256, (120, 90, 3), np.uint8)).save(
                    root / "data" / split / name / f"{i}.png"
                )
    folder = write_run(
        root, mindres.reset_head(network(), 3), ImageFolder(root / "data", "test", resize=32)
    )
    return writer.write_report(folder, dataset="folder", dataset_path=root / "data").path


@pytest.fixture(scope="session")
def checked(tmp_path_factory):
    """The page of a check of a folder with copies, a wrong label, a blank and a broken image."""
    root = tmp_path_factory.mktemp("checked")
    rng = np.random.default_rng(0)
    for name, tint in (("blue", (0, 0, 90)), ('"><img src=x onerror=alert(2)>', (90, 0, 0))):
        for split, count in (("train", 30), ("test", 8)):
            (root / "data" / split / name).mkdir(parents=True)
            for i in range(count):
                coarse = Image.fromarray(rng.integers(20, 150, (6, 6, 3), np.uint8))
                smooth = np.asarray(coarse.resize((90, 60), Image.Resampling.BICUBIC), int)
                pixels = np.clip(smooth + tint + rng.normal(0, 9, (60, 90, 3)), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(
                    root / "data" / split / name / f"{i}.png"
                )
    blue = root / "data/train/blue"
    (blue / "copy.png").write_bytes((root / "data/test/blue/0.png").read_bytes())
    (blue / "broken.png").write_bytes((blue / "2.png").read_bytes()[:500])
    Image.new("RGB", (90, 60), (99, 99, 99)).save(blue / "blank.png")
    run_command(["check", str(root / "data"), "--arch", "none", "--out", str(root / "out")])
    return root / "out" / "check.html"


@pytest.fixture
def quiet(browser):
    """Checks at the end that the console is empty, and that the page requested its own file and data alone."""
    browser.events.clear()
    yield browser
    browser.run("1")  # all events before this answer have arrived
    for kind in (
        "Runtime.consoleAPICalled",
        "Runtime.exceptionThrown",
        "Log.entryAdded",
        "Page.javascriptDialogOpening",
    ):
        assert browser.of(kind) == [], kind
    asked = [event["request"]["url"] for event in browser.of("Network.requestWillBeSent")]
    assert asked, "the page itself was asked for"
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert len({url for url in asked if url.startswith("file:")}) == 1


def shown(browser):
    """What the panel beside the matrix shows: its heading, and each image's width and what is said of it."""
    return json.loads(
        browser.run(
            "JSON.stringify([document.querySelector('#behind h3')?.textContent ?? null, "
            "[...document.querySelectorAll('#behind img')].map(i => [i.naturalWidth, i.alt])])"
        )
    )


def wrong_cell(browser):
    """The first cell of the matrix that counts mistakes: its key, count and names."""
    return json.loads(
        browser.run(
            "(() => { const b = document.querySelector('.matrix button.no'); "
            "return JSON.stringify([b.dataset.cell, Number(b.textContent)]); })()"
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_in_each_size_and_colour_scheme(quiet, digits, size, scheme):
    width, height = SIZES[size]
    phone = size == "phone"
    quiet.open(digits.as_uri(), width, height, dark=scheme == "dark", touch=phone)
    assert quiet.run("document.documentElement.scrollWidth") == width, (
        "nothing makes the page scroll sideways"
    )
    assert quiet.run("[...document.images].every(i => i.complete && i.naturalWidth)")
    page, text = (
        quiet.run(f"getComputedStyle(document.body).{name}")
        for name in ("backgroundColor", "color")
    )
    luminance = [sum(map(int, value[4:-1].split(","))) / 3 for value in (page, text)]
    assert (
        luminance[0] < 60 < 200 < luminance[1]
        if scheme == "dark"
        else luminance[1] < 60 < 200 < luminance[0]
    )

    assert shown(quiet) == [None, []]
    key, count = wrong_cell(quiet)
    (quiet.tap if phone else quiet.click)(f'.matrix [data-cell="{key}"]')
    true, guess = key.split(",")
    heading, images = shown(quiet)
    assert heading == f"{true}, taken for {guess}"
    assert len(images) == min(count, confusion.IMAGES_OF_A_CELL)
    assert all(wide == 32 and said.endswith(f": {true}") for wide, said in images)
    box = json.loads(
        quiet.run("JSON.stringify(document.querySelector('#behind img').getBoundingClientRect())")
    )
    assert 0 <= box["top"] < height and 0 <= box["left"] < width, "they are in sight"
    quiet.run("scrollTo(0, 0)")
    quiet.screenshot(SHOTS / f"{size}-{scheme}.png")
    picture = Image.open(SHOTS / f"{size}-{scheme}.png")
    assert picture.width == width and picture.height > 2000
    assert len(picture.convert("RGB").getcolors(1 << 24)) > 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_of_a_check(quiet, checked, size, scheme):
    width, height = SIZES[size]
    quiet.open(checked.as_uri(), width, height, dark=scheme == "dark", touch=size == "phone")
    assert quiet.run("document.documentElement.scrollWidth") == width
    assert quiet.run("document.images.length") >= 4
    assert quiet.run("[...document.images].every(i => i.complete && i.naturalWidth)")
    heads = quiet.run("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    assert {"Broken files", "Blank images", "Copies between splits"} <= {*heads}
    assert quiet.run("document.querySelectorAll('img[onerror]').length") == 0
    quiet.screenshot(SHOTS / f"check-{size}-{scheme}.png")


def test_a_mouse_over_a_cell_shows_its_images_and_a_click_keeps_them(quiet, digits):
    quiet.open(digits.as_uri(), 1280, 900)
    key, _ = wrong_cell(quiet)
    selector = f'.matrix [data-cell="{key}"]'
    others = json.loads(
        quiet.run(
            "JSON.stringify([...document.querySelectorAll('.matrix button')]"
            ".map(b => b.dataset.cell))"
        )
    )
    other = next(cell for cell in others if cell != key)
    quiet.hover(selector)
    hovered = shown(quiet)
    assert hovered[1]
    quiet.click(selector)
    quiet.hover(f'.matrix [data-cell="{other}"]')
    assert shown(quiet) != hovered
    quiet.hover("h1")
    assert shown(quiet) == hovered, "the clicked one comes back"
    assert quiet.run(f"document.querySelector('{selector}').getAttribute('aria-pressed')") == "true"


def test_the_keyboard_and_the_list_of_confusions_do_the_same(quiet, digits):
    quiet.open(digits.as_uri(), 1280, 900)
    key = quiet.run("document.querySelector('.pairs button').dataset.cell")
    quiet.run("document.querySelector('.pairs button').focus()")
    for kind in ("keyDown", "keyUp"):
        quiet.send(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            text="\r",
        )
    true, guess = key.split(",")
    assert shown(quiet)[0] == f"{true}, taken for {guess}"


def test_the_table_of_classes_sorts(quiet, digits):
    quiet.open(digits.as_uri(), 1280, 900)
    column = "[...document.querySelectorAll('.named tbody tr')].map(r => Number(r.cells[3].dataset.value))"
    quiet.click(".named th:nth-child(4) button")
    falling = quiet.run(column)
    assert falling == sorted(falling, reverse=True) and len(set(falling)) > 1
    quiet.click(".named th:nth-child(4) button")
    assert quiet.run(column) == sorted(falling)
    assert (
        quiet.run("document.querySelector('.named th:nth-child(4)').getAttribute('aria-sort')")
        == "ascending"
    )


def test_names_that_are_markup_are_only_names(quiet, hostile):
    quiet.open(hostile.as_uri(), 1280, 900)
    assert quiet.run(
        "[...document.querySelectorAll('.matrix tbody th')].map(t => t.textContent)"
    ) == sorted(HOSTILE)
    assert quiet.run("document.scripts.length") == 2
    for cell in quiet.run(
        "[...document.querySelectorAll('.matrix button')].map(b => b.dataset.cell)"
    ):
        quiet.click(f'.matrix [data-cell="{cell}"]')
        heading, images = shown(quiet)
        assert any(heading.startswith(name) for name in HOSTILE) and images
    assert quiet.run("document.querySelectorAll('img[onerror]').length") == 0
    quiet.screenshot(SHOTS / "names.png")


def test_a_request_would_be_refused(browser, digits):
    """The page's own policy holds even if something were to slip into it."""
    browser.events.clear()
    browser.open(digits.as_uri(), 1280, 900)
    browser.run(
        "document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))"
    )
    said = browser.run("fetch('http://127.0.0.1:9/').then(() => 'fetched', () => 'refused')")
    assert said == "refused"
    problems = [event["entry"]["text"] for event in browser.of("Log.entryAdded")]
    assert len([text for text in problems if "Content Security Policy" in text]) >= 2, problems
