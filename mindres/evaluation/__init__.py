"""Evaluation and prediction with trained networks.

`evaluator` measures a network on labelled images and returns an `evaluation`; a new metric is a row
of `metrics`. `robustness` measures it on images with `corruptions`, a new one of which is a
row; `likeness` tells images unlike its training; `comparison` tests whether two networks differ,
`confidence` calibrates probabilities, `predictor` classifies, `grad_cam` and `stages` explain
what a network computes, and `trained_data` opens the data set of a checkpoint. All of them run
networks within `inference`, which restores the network's and MindSpore's modes.
"""
