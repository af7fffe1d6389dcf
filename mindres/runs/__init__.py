"""The folder of a run: its lock, and its files, each written and read in one place.

`folder` has the names and the lock, `config` reads and writes config.json, `history` history.csv. A
new file of a run is a property of `folder.RunFolder`.
"""
