"""What this machine can train on, what is missing where it cannot, and how to install it.

A part of the report is a function that returns a dict, called in `report.py`, and a function of
`text.py` that puts it into lines. Only `trial.py` loads MindSpore, in a process of its own.
"""
