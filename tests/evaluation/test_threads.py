"""Networks called from several threads at once: MindSpore alone ends the process or answers wrongly."""

import threading

import numpy as np
from a_run import network

import mindres
from mindres.evaluation import inference

CODE = """
import threading
import mindres, mindspore, numpy as np

mindspore.set_context(mode=mindspore.GRAPH_MODE)
net = mindres.create_model("lenet5", num_classes=10, in_channels=3)
images = np.random.default_rng(0).standard_normal((8, 3, 32, 32), np.float32)
labels = np.arange(8, dtype=np.int32)
data = mindspore.dataset.NumpySlicesDataset((images, labels), ["image", "label"], shuffle=False).batch(8)
expected = mindres.predict(net, images).probabilities
wrong = []

def call(number):
    for _ in range(5):
        found = (mindres.evaluate(net, data) if number == 3 else mindres.predict(net, images)).probabilities
        if np.abs(found - expected).max() > 1e-5:
            wrong.append(number)

threads = [threading.Thread(target=call, args=[number]) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(wrong))
"""


def test_four_threads_predict_and_evaluate(run_python):
    done = run_python("-c", CODE, timeout=100)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr[-2000:]


def test_a_call_waits_while_another_thread_runs_a_network():
    net, found = network(), []
    images = np.zeros((1, 3, 32, 32), np.float32)
    thread = threading.Thread(target=lambda: found.append(mindres.predict(net, images)))
    with inference.in_mode():
        thread.start()
        thread.join(0.3)
        assert not found and thread.is_alive()
        mindres.predict(net, images)  # blocks of one thread nest
    thread.join(60)
    assert len(found) == 1
