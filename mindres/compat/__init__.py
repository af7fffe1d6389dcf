"""What other people's software makes necessary: each entry says when it can go.

`mindspore.py` has what is private of MindSpore and relied on all the same, `mindvision.py` lets
MindVision 0.1.0 run on today's MindSpore, and `module_names.py` makes `mindres.resnet50` a function
and a module. To rely on something new, write it there, with a test in tests/compat that fails when
it no longer holds.
"""
