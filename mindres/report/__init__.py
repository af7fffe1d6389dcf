"""HTML reports of training runs: one file, which fetches nothing.

`writer` collects what a run's folder has, `findings` evaluates its network, and `sections` turns
both into the sections of the page; `charts`, `confusion` and `image_grids` are their contents. A
new section is a function in `sections` and a row of its list. `page.html` has style and script.
"""

from mindres.lazy import lazy_names

_HOMES = {"Report": "mindres.report.writer", "write_report": "mindres.report.writer"}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
