"""Print the lower bounds of mindres's dependencies as pins, for `make test-oldest`."""

import re
from importlib.metadata import requires

for requirement in requires("mindres"):
    name, _, bound = re.match(r"([\w-]+)(.*?>=([\w.]+))?", requirement).groups()
    if bound and name != "torch":  # see setup.py
        print(f"{name}=={bound}")
