"""Names of tensors in exported files."""

INPUT = "input"  # normalised images, float32 (N, C, H, W)
LOGITS = "logits"  # float32 (N, classes)
# Of end-to-end files.
IMAGE = "image"  # uint8 RGB (H, W, 3)
BATCH_PROBABILITIES = "batch_probabilities"  # float32 (N, classes), inside
PROBABILITIES = "probabilities"  # float32 (classes)
