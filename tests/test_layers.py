"""Which folder may import from which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import clean_environment

import mindres

PACKAGE = Path(mindres.__file__).parent
# A folder or file imports from those on floors below its own, and from its own folder.
FLOORS = [
    {"compat", "lazy", "settings"},
    {"errors"},
    {"signals", "files", "addresses"},
    {"checksums", "transfer"},
    {"download"},
    {"devices"},
    {"weights"},
    {"data", "models"},
    {"native"},
    {"evaluation"},
    {"runs"},
    {"pictures"},
    {"callbacks"},
    {"training"},
    {"report", "export", "doctor"},
    {"serve"},
    {"check"},
    {"cli"},
    {"__main__"},
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# What help, lists and mistakes in a command line are answered from.
WITHOUT_MINDSPORE = [
    "mindres",
    "mindres.compat.mindspore",
    "mindres.devices.set_device",
    "mindres.cli.program",
    "mindres.data",
    "mindres.models",
    "mindres.training",
    "mindres.training.recipes",
    "mindres.pictures",
    "mindres.callbacks",
    "mindres.export",
    "mindres.export.runtime",
    "mindres.serve.server",
]


def modules():
    return {
        path.relative_to(PACKAGE): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def room(path):
    """The folder, or file at the top, that a file of the package belongs to."""
    return path.parts[0].removesuffix(".py")


def imported(tree):
    """Dotted names that a file imports, inside functions too; `from mindres import files` is mindres.files."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_room_has_its_floor():
    assert {room(path) for path in modules()} - {"__init__"} == set(FLOOR)


def test_imports_go_one_way():
    wrong = []
    for path, tree in modules().items():
        here = room(path)
        if here == "__init__":
            continue
        for name in imported(tree):
            package, _, rest = name.partition(".")
            there = rest.partition(".")[0]
            if (
                package == "mindres"
                and there in FLOOR
                and there != here
                and FLOOR[there] >= FLOOR[here]
            ):
                wrong.append(f"{path} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_no_star_imports():
    assert not [
        path
        for path, tree in modules().items()
        if any(name.endswith(".*") for name in imported(tree))
    ]


def test_no_folder_exports_a_name_that_one_of_its_files_has():
    """An import of the file would replace the function."""
    for folder in {path.parent for path in modules()} - {Path(".")}:
        package = __import__(f"mindres.{'.'.join(folder.parts)}", fromlist=["x"])
        files = {path.stem for path in (PACKAGE / folder).glob("*.py")}
        assert not files & set(getattr(package, "__all__", [])), folder


@pytest.mark.parametrize("module", WITHOUT_MINDSPORE)
def test_indexes_load_neither_mindspore_nor_mindvision(module):
    code = f"import sys, {module}; print(sorted({{'mindspore', 'mindvision', 'mindres'}} & {{*sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("['mindres']\n", "")
