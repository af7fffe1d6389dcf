"""Features of a frozen backbone: written and read piece by piece, and made again where damaged."""

import numpy as np
import pytest

from mindres.training import kept_features
from mindres.training.kept_features import KeptFeatures, write_features

MEMORY = """
import resource, sys
import numpy as np
from mindres.training.kept_features import KeptFeatures, write_features
batch = np.ones((100, 1024), np.float32), np.zeros(100, np.int32)
for count in (2_000, 40_000):
    write_features("kept", (batch for _ in range(count // 100)))
    kept = KeptFeatures("kept")
    assert sum(len(piece) for _, piece in kept.pieces()) == sum(1 for row in kept) == count
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.parametrize("shape", [(6,), (4, 2, 3)])
def test_what_is_written_in_batches_is_read_by_rows_and_in_pieces(tmp_path, monkeypatch, shape):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(10, *shape)).astype(np.float32)
    labels = np.arange(10, dtype=np.int32)
    parts = [slice(0, 4), slice(4, 8), slice(8, 10)]
    write_features(tmp_path / "kept", ((features[part], labels[part]) for part in parts))
    kept = KeptFeatures(tmp_path / "kept")
    assert len(kept) == 10
    np.testing.assert_array_equal(kept.labels, labels)
    np.testing.assert_array_equal(kept[7][0], features[7])
    np.testing.assert_array_equal(kept.some([9, 0, 3]), features[[9, 0, 3]])
    monkeypatch.setattr(kept_features, "PIECE", 3 * features[0].nbytes)
    pieces = list(kept.pieces())
    assert [rows.stop for rows, _ in pieces] == [3, 6, 9, 10]
    np.testing.assert_array_equal(np.concatenate([piece for _, piece in pieces]), features)
    with open(tmp_path / "kept", "rb") as file:  # as anybody reads two arrays in one file
        np.testing.assert_array_equal(np.load(file), features)
        np.testing.assert_array_equal(np.load(file), labels)


def test_a_file_that_is_not_whole_is_refused(tmp_path):
    batch = np.ones((5, 3), np.float32), np.zeros(5, np.int32)
    write_features(tmp_path / "kept", [batch])
    whole = (tmp_path / "kept").read_bytes()
    for content in (b"", whole[:60], whole[:150], whole[:-1], b"PK\x03\x04" + bytes(300)):
        (tmp_path / "kept").write_bytes(content)
        with pytest.raises((OSError, ValueError, EOFError)):
            KeptFeatures(tmp_path / "kept")


def test_memory_does_not_grow_with_the_number_of_rows(run_python):
    few, many = map(int, run_python("-c", MEMORY).stdout.split())
    assert many - few < 20  # MiB; all features of the second are 156
