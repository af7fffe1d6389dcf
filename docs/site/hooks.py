"""What MkDocs calls: adds the pages that are not files under docs/, and mends links between them.

The home page is the README, `contributing` and `changelog` are the files of those names, `tables/`
has the results of the benchmarks, and `reference/` what `reference.py` writes of the program.
"""

import re
import sys
from pathlib import Path

from mkdocs.structure.files import File

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

import reference  # noqa: E402

# Pages of the site by the file of the repository that they are.
FILES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    **{
        path.relative_to(ROOT).as_posix(): f"tables/{path.name}"
        for path in sorted((ROOT / "benchmarks" / "results").glob("*.md"))
    },
}


def on_config(config):
    """Put every table of the benchmarks into the menu of results."""
    (results,) = (section["Results"] for section in config.nav if "Results" in section)
    results += [page for page in FILES.values() if page.startswith("tables/")]
    return config


def on_files(files, config):
    """Add the pages of other files and of the program."""
    pages = {page: (ROOT / file).read_text(encoding="utf-8") for file, page in FILES.items()}
    pages |= {f"reference/{name}.md": write() for name, write in reference.PAGES.items()}
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, page, **_):
    """Make links, which lead from file to file in the repository, lead from page to page."""
    if page.file.src_uri == "index.md":
        page.meta["hide"] = ["navigation"]  # it would name this page alone
    names = {there: file for file, there in FILES.items()}
    here = page.file.src_uri
    folder = (ROOT / names.get(here, f"docs/{here}")).parent

    def mend(match):
        target, hash, anchor = match[1].partition("#")
        path = (folder / target).resolve()
        if "://" in target or not target or not path.is_relative_to(ROOT):
            return match[0]
        file = path.relative_to(ROOT).as_posix()
        there = FILES.get(file, file.removeprefix("docs/"))
        up = "../" * here.count("/")
        return f"]({up}{there}{hash}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", mend, markdown)


def on_page_content(html, **_):
    """Mark short pieces of code without spaces, such as flags: they should not break at hyphens."""
    return re.sub(r"<code>(?=[^<\s]{1,28}</code>)", '<code class="whole">', html)


def on_post_page(output, page, **_):
    """Links of a notebook lead from page to page, too: MkDocs mends those of Markdown only."""
    if not page.file.src_uri.endswith(".ipynb"):
        return output
    return re.sub(r'href="(?!\w+:)([^"#]+)\.md(?=["#])', r'href="\1.html', output)
