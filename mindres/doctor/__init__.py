"""The report of `mindres doctor`: what this machine can train on, and how to install the rest.

Each part of the report is a function that returns a dict, called in `report.py`, and a function in
`text.py` that formats it. Only `trial.py` loads MindSpore, in a process of its own.
"""
