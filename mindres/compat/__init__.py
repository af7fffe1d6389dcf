"""Code that exists only because of other software; each entry says when it can be removed.

`mindspore.py` has the private parts of MindSpore that mindres relies on, `mindvision.py` lets
MindVision 0.1.0 run on current versions of MindSpore, and `module_names.py` makes
`mindres.resnet50` both a function and a module. A new entry needs a test in tests/compat that fails
when the entry no longer holds.
"""
