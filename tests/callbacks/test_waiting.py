"""The line that says how long the network waited for images."""

from types import SimpleNamespace

import pytest

from mindres.callbacks import waiting


def play(monkeypatch, wait, work, interrupted=False, steps=10, epochs=2):
    """Epochs of steps that wait and work for so many seconds, by a clock of their own."""
    now = [100.0]
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    callback = waiting.Waiting()
    context = SimpleNamespace(original_args=lambda: {"interrupted": interrupted})
    for _ in range(epochs):
        callback.on_train_epoch_begin(context)
        for _ in range(steps):
            now[0] += wait
            callback.on_train_step_begin(context)
            now[0] += work
            callback.on_train_step_end(context)
        now[0] += 1000  # of validation
        callback.on_train_epoch_end(context)


def test_waiting_is_said_once(monkeypatch, capsys):
    play(monkeypatch, wait=3, work=7)
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("the network waited for images 30% of the epoch: ")


@pytest.mark.parametrize(
    "what",
    [
        {"wait": 0.9, "work": 9.1},
        {"wait": 1, "work": 0.9},
        {"wait": 30, "work": 30, "steps": 1},
        {"wait": 3, "work": 7, "interrupted": True},
    ],
    ids=["a short wait", "a short epoch", "data that sinks", "an epoch that was interrupted"],
)
def test_what_is_not_worth_a_line(monkeypatch, capsys, what):
    play(monkeypatch, **what)
    assert not capsys.readouterr().out
