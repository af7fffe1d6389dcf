"""The folder of a training run: its lock and its files.

`folder` has the names and the lock, `config` reads and writes config.json, `history` history.csv,
and `images` opens the images of a run again. A new file of a run is a property of
`folder.RunFolder`.
"""
