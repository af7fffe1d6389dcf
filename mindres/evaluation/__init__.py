"""What a trained network is worth and what it says.

`evaluator` measures it on labelled images, and `evaluation` is what that amounts to; `metrics` has
the metrics, of which a new one is a row. `predictor` classifies single images, `grad_cam` and
`stages` look inside, `trained_data` opens the data set of a checkpoint. All of them run a network
in `inference`, which sets everything back.
"""
