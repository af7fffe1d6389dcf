"""What keeps a file readable: short functions and files. Exceptions are named."""

import ast

from test_layers import PACKAGE

SOURCES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.cc"), *PACKAGE.rglob("*.h")])
LONGEST_FUNCTION = 50
LONGEST_FILE = 200
LONG_FUNCTIONS: set[str] = set()
LONG_FILES: set[str] = set()


def name_of(path):
    return str(path.relative_to(PACKAGE))


def functions(path):
    """The functions and methods of a file, inner ones too: (name, lines of the body after the docstring)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
            yield node.name, node.end_lineno - body[0].lineno + 1


def long_functions():
    return {
        f"{name_of(path)}: {name}": length
        for path in SOURCES
        if path.suffix == ".py"
        for name, length in functions(path)
        if length > LONGEST_FUNCTION
    }


def long_files():
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES
    }
    return {name: length for name, length in lengths.items() if length > LONGEST_FILE}


def test_functions_are_short():
    assert long_functions().keys() <= LONG_FUNCTIONS


def test_files_are_short():
    assert long_files().keys() <= LONG_FILES
