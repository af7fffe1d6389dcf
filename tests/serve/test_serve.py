"""The server: its answers, its limits, and how it ends."""

import io
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest
from a_run import network
from conftest import clean_environment
from PIL import Image

import mindres
from mindres import UserError
from mindres.cli import program

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
testclient = pytest.importorskip("starlette.testclient")

from mindres.data.as_trained import visible  # noqa: E402
from mindres.data.images import read_image  # noqa: E402
from mindres.export import proof  # noqa: E402
from mindres.export.runtime import EndToEndFile  # noqa: E402
from mindres.serve import app, checkpoint, uploads  # noqa: E402

METADATA = {"mean": [0.5] * 3, "std": [0.2] * 3, "input_size": [32, 32], "crop_fraction": 0.875}
CLASSES = ["<b>ant</b>", *"bcdefghij"]
random = np.random.default_rng(0)


def picture(size=(40, 31), kind="PNG", **options):
    """The bytes of an image file."""
    out = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(out, kind, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture(scope="module")
def exported(net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "SECONDS", 0.01)
        recorded = {**METADATA, "classes": CLASSES}
        return mindres.export_model(net, folder / "net.onnx", metadata=recorded, end_to_end=True)


@pytest.fixture(scope="module")
def client(exported):
    with testclient.TestClient(app.application(EndToEndFile(exported), 8)) as client:
        yield client


def test_the_answers_are_those_of_predict(client, net):
    turned = Image.Exif()
    turned[0x0112] = 6
    images = [picture(), picture((300, 20), "JPEG", exif=turned), picture((8, 9), "WEBP")]
    form = [("file", (f"{i}.png", content)) for i, content in enumerate(images)]
    answers = client.post("/predict?top_k=10", files=form)
    assert answers.status_code == 200
    expected = mindres.predict(
        net,
        np.stack(
            [
                mindres.data.as_trained.preprocess(read_image(io.BytesIO(each)), METADATA)
                for each in images
            ]
        ),
    ).probabilities
    for i, (answer, shares) in enumerate(zip(answers.json(), expected, strict=True)):
        assert answer["image"] == f"{i}.png"
        order = (-shares).argsort(kind="stable")
        assert [each["index"] for each in answer["predictions"]] == order.tolist()
        assert [each["class"] for each in answer["predictions"]] == [CLASSES[k] for k in order]
        found = [each["probability"] for each in answer["predictions"]]
        np.testing.assert_allclose(found, shares[order], atol=1e-3)
    (alone,) = client.post("/predict", content=images[0]).json()
    assert alone["predictions"] == answers.json()[0]["predictions"][:3]


def test_images_of_many_requests_meet_in_a_batch(exported):
    file, sizes = EndToEndFile(exported), []
    probabilities = file.probabilities
    file.probabilities = lambda images: sizes.append(len(images)) or probabilities(images)
    images = [picture() for _ in range(40)]
    with testclient.TestClient(app.application(file, 8)) as client:
        form = [("file", ("a.png", content)) for content in images]
        answers = client.post("/predict?top_k=1", files=form).json()
    assert sum(sizes) == 40 and max(sizes) <= 8 and len(sizes) < 40
    for content, answer in zip(images, answers, strict=True):
        expected = file.answer(read_image(io.BytesIO(content))).argmax()
        assert answer["predictions"][0]["index"] == expected


def test_an_answer_that_is_not_sure_enough_says_so(exported, tmp_path, monkeypatch, capsys):
    content = picture()
    share = EndToEndFile(exported).answer(read_image(io.BytesIO(content))).max()
    noted = {"temperature": 1.0, "thresholds": [[0.9, float(share) * 0.99, 1.0]]}
    noted["thresholds"] += [[0.95, float(share) * 1.01, 0.0]]
    path = tmp_path / "net.onnx"
    model = onnx.load(exported)
    onnx.helper.set_model_props(model, {"confidence": json.dumps(noted)})
    onnx.save(model, path)

    def answer(application, *_):
        with testclient.TestClient(application) as client:
            found.extend(client.post("/predict", content=content).json())

    found: list = []
    monkeypatch.setattr("mindres.serve.server.serve", answer)
    for precision in ("0.9", "0.95", "0.99"):
        with pytest.raises(SystemExit):
            program.main(["serve", str(path), "--precision", precision])
    assert [each["sure"] for each in found] == [True, False]
    assert "they guarantee at most 0.95" in capsys.readouterr().err


def test_a_checkpoint_explains_an_answer_by_grad_cam(net, tmp_path, client):
    path, content = tmp_path / "net.ckpt", picture((64, 48))
    mindres.save_checkpoint(net, path, **METADATA, classes=CLASSES)
    with testclient.TestClient(app.application(checkpoint.Checkpoint(path), 8)) as served:
        assert served.get("/healthz").json()["explains"]
        (ours,), (theirs,) = (
            each.post("/predict?top_k=10", content=content).json() for each in (served, client)
        )
        answer = served.post("/explain", content=content)
        assert served.post("/explain", content=b"no image").status_code == 422
    for a, b in zip(ours["predictions"], theirs["predictions"], strict=True):
        assert a["class"] == b["class"] and abs(a["probability"] - b["probability"]) < 1e-3
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    seen = visible(read_image(io.BytesIO(content)), METADATA)
    assert shown.shape == seen.shape and (shown != seen).any()
    assert client.get("/healthz").json()["explains"] is False
    assert client.post("/explain", content=content).status_code == 404


def test_one_bad_image_spoils_no_other(client):
    form = [("file", ("a.png", picture())), ("file", ("b.png", b"no image"))]
    good, bad = client.post("/predict", files=form).json()
    assert good["predictions"] and bad["image"] == "b.png" and "it is not an image" in bad["error"]


def bomb():
    """A small file of more pixels than are decoded."""
    out = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("sent", "status", "message"),
    [
        ({"content": b""}, 400, "there is no image"),
        ({"content": b"no image"}, 422, "it is not an image"),
        (
            {"content": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"},
            422,
            "it is not an image",
        ),
        ({"content": picture()[:200]}, 422, "truncated"),
        ({"content": bomb()}, 422, "pixels"),
        ({"content": bytes(uploads.LARGEST_BODY + 1)}, 413, "MiB at most"),
        ({"files": {"other": ("a.png", b"x")}}, 400, "name its fields file"),
        ({"data": {"file": "text"}}, 422, "it is not an image"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "oundary"),
        ({"files": [("file", ("a", b"x"))] * 65}, 400, "files"),
        ({"content": picture(), "params": {"top_k": "-1"}}, 400, "top_k"),
    ],
)
def test_bad_requests_are_told_what_is_wrong(client, sent, status, message):
    answer = client.post("/predict", **sent)
    assert answer.status_code == status and message in answer.json()["error"]
    assert client.post("/predict", content=picture()).status_code == 200


@pytest.mark.parametrize("path", ["/page.html", "/../app.py", "/%2e%2e/%2e%2e/etc/passwd"])
def test_paths_lead_nowhere(client, path):
    assert client.get(path).status_code == 404


def test_health_and_page(client):
    assert client.get("/healthz").json()["status"] == "ok"
    page = client.get("/")
    assert page.status_code == 200 and page.text.count("<script>") == 1
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy
    assert "http:" not in page.text and "https:" not in page.text


def test_what_a_user_can_put_right(exported, tmp_path, capsys):
    def error(*arguments):
        with pytest.raises(SystemExit) as left:
            program.main(["serve", *map(str, arguments)])
        assert left.value.code == 2
        return capsys.readouterr().err

    assert "cannot read" in error("missing.onnx")
    (tmp_path / "text.onnx").write_text("<html>")
    assert "not an ONNX file" in error(tmp_path / "text.onnx")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "cannot listen" in error(exported, "--port", taken.getsockname()[1])
    assert "cannot listen" in error(exported, "--port", 99999)
    mindres.export_model(network(), tmp_path / "plain.onnx")
    with pytest.raises(UserError, match="write it with mindres export --end_to_end"):
        EndToEndFile(tmp_path / "plain.onnx")


WITHOUT_MINDSPORE = """
import sys
from mindres.cli import program
for name in ("mindspore", "mindvision", "torch", "cv2"):
    sys.modules[name] = None
program.main(sys.argv[1:])
"""


def test_a_server_without_mindspore_answers_all_before_it_ends(exported):
    command = [sys.executable, "-c", WITHOUT_MINDSPORE, "serve", str(exported), "--port", "0"]
    server = subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        line = server.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), server.stderr.read()
        address = line.split()[2]
        body, found = picture((900, 700)), []

        def ask():
            with urllib.request.urlopen(f"{address}/predict", body, timeout=60) as answer:
                found.append(json.load(answer))

        ask()
        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        server.terminate()
        for thread in threads:
            thread.join(60)
        out, err = server.communicate(timeout=60)
    finally:
        server.kill()
    assert (server.returncode, out, err) == (0, "", "")
    assert len(found) == 21 and all(each == found[0] for each in found)
