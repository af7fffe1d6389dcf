"""What an `amp_level` is on CPU: bfloat16 by the native operators, or a refusal in one line."""

import json

import mindspore
import numpy as np
import onnxruntime
import pytest
from small_networks import add_resnet8

import mindres
from mindres.cli.program import main, run_command
from mindres.data.digits import Digits
from mindres.devices import cpu
from mindres.errors import UserError
from mindres.evaluation.grad_cam import grad_cam
from mindres.models.folding import fold_batch_norm
from mindres.native import library, precision
from mindres.weights.formats import read_checkpoint

NO_BFLOAT16 = library.why_not(mindspore.bfloat16)
needs_bfloat16 = pytest.mark.skipif(NO_BFLOAT16 is not None, reason=f"no bfloat16: {NO_BFLOAT16}")


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    add_resnet8(monkeypatch)


def digits(split):
    return Digits(split=split, batch_size=32)


def train(folder, network="resnet8", seed=3, **options):
    mindres.set_seed(seed)
    net = mindres.create_model(network, num_classes=10, in_channels=3)
    options = {"epochs": 1, "lr": 0.05, "max_steps": 3, "amp_level": "O2", **options}
    history = mindres.train(net, digits("train"), digits("test"), ckpt_dir=folder, **options)
    return net, history


def weights(net):
    return {name: value.asnumpy().copy() for name, value in net.parameters_dict().items()}


@pytest.mark.parametrize("level", ["O1", "O3"])
def test_levels_that_a_cpu_does_not_have(level):
    with pytest.raises(UserError, match=f"{level} does not exist on CPU: choose O0"):
        precision.resolve_amp(level)


@pytest.mark.parametrize(
    "flags, operators, level, reason",
    [
        ({"avx512f", "avx512_bf16"}, None, "O0", "slower on a processor without AMX"),
        ({"avx512f", "amx_bf16"}, None, "O2", "the processor has AMX"),
        ({"avx512f", "amx_bf16"}, "there is no compiler", "O0", "there is no compiler"),
    ],
)
def test_auto_is_what_is_faster(monkeypatch, flags, operators, level, reason):
    monkeypatch.setattr(cpu, "instruction_sets", lambda: flags)
    monkeypatch.setattr(library, "why_not", lambda dtype: operators)
    assert precision.resolve_amp("auto") == level
    assert reason in precision.auto_level()[1]


def test_o2_without_bfloat16_or_operators_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cpu, "instruction_sets", lambda: {"avx512f"})
    with pytest.raises(UserError, match="no bfloat16"):
        precision.resolve_amp("O2")
    monkeypatch.setenv("MINDRES_NATIVE", "0")
    command = ["train", "digits", "--arch", "lenet5", "--epochs", "1", "--amp_level", "O2"]
    with pytest.raises(SystemExit) as end:
        main([*command, "--ckpt_dir", str(tmp_path / "run")])
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("mindres: error: --amp_level O2 is bfloat16 on CPU")
    assert "MINDRES_NATIVE=0" in error and "\n" not in error
    assert not (tmp_path / "run").exists()


PARTS = {"ema": 0.9, "accumulate": 2, "clip_norm": 1.0}


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """The folder of a run that nothing stopped, and its network."""
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        add_resnet8(patch)
        return folder, train(folder, max_steps=6, **PARTS)[0]


@needs_bfloat16
def test_a_run_in_bfloat16_goes_on_to_the_last_bit(tmp_path, once):
    train(tmp_path / "twice", max_steps=3, **PARTS)
    twice, _ = train(tmp_path / "twice", seed=5, max_steps=3, resume=True, **PARTS)
    first, second = weights(once[1]), weights(twice)
    mindres.set_seed(3)
    before = weights(mindres.create_model("resnet8", num_classes=10, in_channels=3))
    assert not any(np.array_equal(before[name], first[name]) for name in first)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    arrays, _ = read_checkpoint(tmp_path / "twice" / "last.ckpt")
    assert {value.dtype for value in arrays.values()} <= {np.dtype("float32"), np.dtype("int32")}


@needs_bfloat16
def test_a_run_that_goes_on_with_auto_stays_as_it_was(tmp_path):
    train(tmp_path, "lenet5")
    net, _ = train(tmp_path, "lenet5", resume=True, amp_level="auto")
    exported_in_float32(net, tmp_path / "lenet5.onnx")
    assert json.loads((tmp_path / "config.json").read_text())["amp_level"] == "O2"
    with pytest.raises(UserError, match="`amp_level=O2`, not O0"):
        train(tmp_path, "lenet5", resume=True, amp_level="O0")


def exported_in_float32(net, path):
    """The file answers as the network does with O0."""
    net.metadata = None  # its temperature is not in the logits
    images, _ = next(digits("test").run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    mindres.export_model(net, path)
    logits = onnxruntime.InferenceSession(path).run(["logits"], {"input": images})[0]
    exact = np.exp(logits - logits.max(1, keepdims=True))
    expected = mindres.predict(net, images).probabilities
    np.testing.assert_allclose(exact / exact.sum(1, keepdims=True), expected, atol=1e-5)


@needs_bfloat16
def test_features_in_bfloat16_are_kept_apart(own_cache):
    for level in ("O0", "O2"):
        train(None, "lenet5", freeze="backbone", amp_level=level)
    assert len(list((own_cache / "features").iterdir())) == 4


@needs_bfloat16
def test_frozen_stages_stay_as_they_are_in_bfloat16():
    mindres.set_seed(3)
    before = weights(mindres.create_model("resnet8"))
    after = weights(train(None, freeze="layer1", max_steps=1)[0])
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    stages = {name.split(".")[1] for name in changed if name.startswith("backbone")}
    assert stages == {"layer2", "layer3"}


@needs_bfloat16
def test_evaluate_and_predict_in_bfloat16(once, capsys):
    best = once[0] / "best.ckpt"
    net, _ = mindres.load_model(best)
    data = digits("test")
    exact, rounded = (mindres.evaluate(net, data, amp_level=level) for level in ("O0", "O2"))
    default = mindres.evaluate(net, data)
    assert np.array_equal(default.probabilities, exact.probabilities), "float32 is the default"
    assert not np.array_equal(exact.probabilities, rounded.probabilities)
    np.testing.assert_allclose(rounded.probabilities, exact.probabilities, atol=0.01)
    images, _ = next(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    for level, probabilities in (("O0", exact.probabilities), ("O2", rounded.probabilities)):
        found = mindres.predict(net, images, amp_level=level)
        np.testing.assert_allclose(found.probabilities, probabilities[: len(images)], atol=0.01)
    exact_map, rounded_map = (grad_cam(net, images[:4], amp_level=level) for level in ("O0", "O2"))
    assert not np.array_equal(rounded_map.heat, exact_map.heat)
    np.testing.assert_allclose(rounded_map.heat, exact_map.heat, atol=0.05)
    command = ["eval", "--ckpt", str(best), "--json", "--amp_level", "O2"]
    capsys.readouterr()
    run_command(command)
    document = json.loads(capsys.readouterr().out)
    assert document["loss"] == pytest.approx(rounded.loss, rel=0.02)
    folded = mindres.evaluate(fold_batch_norm(net), data, amp_level="O2")
    np.testing.assert_allclose(folded.probabilities, exact.probabilities, atol=0.01)


def test_elsewhere_inference_runs_a_copy_of_mindspores_precision(monkeypatch):
    """The device's part is played by the CPU, which can compute in float16, too."""
    monkeypatch.setattr(precision, "_on_cpu", lambda: False)
    mindres.set_seed(0)
    net = mindres.lenet5(10, in_channels=3)
    data = digits("test")
    exact, rounded = (mindres.evaluate(net, data, amp_level=level) for level in ("O0", "O2"))
    assert not np.array_equal(exact.probabilities, rounded.probabilities)
    np.testing.assert_allclose(rounded.probabilities, exact.probabilities, atol=0.01)
    again = mindres.evaluate(net, data)
    assert np.array_equal(again.probabilities, exact.probabilities), "the network is as before"
