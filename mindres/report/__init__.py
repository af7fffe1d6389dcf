"""HTML reports of training runs, each in a single file without external resources.

`writer` reads the run's folder, `findings` evaluates its network, and `sections` makes the sections
of the page from both, with `charts`, `confusion` and `image_grids`. A new section is a function in
`sections` and an entry of its list. `page.html` has style and script.
"""

from mindres.lazy import lazy_names

_HOMES = {"Report": "mindres.report.writer", "write_report": "mindres.report.writer"}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
