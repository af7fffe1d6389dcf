"""The order of the house: who may import whom, and that no file outgrows a reader."""

import ast
from pathlib import Path

import mindres

PACKAGE = Path(mindres.__file__).parent
ORDER = ["errors", "files", "archives", "gpu", "runtime", "_mindvision", "distributed", "names", "formats", "weights",
         "recipes", "batched", "pipeline", "cifar", "folder", "data", "plots", "compiling", "native", "folding",
         "pooling", "resnet", "cifar_resnet", "classic", "inception", "accelerate", "zoo", "summary", "callbacks",
         "runs", "board", "steps", "features", "training", "evaluation", "inspection", "prediction", "pictures",
         "export", "page", "report", "commands", "doctor", "flags", "cli", "__main__"]
FLOOR_0 = ["errors", "files", "archives", "gpu", "runtime"]


def trees():
    return {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.glob("*.py"))}


def imported(tree):
    """Dotted names that a file imports, inside functions too; `from mindres import files` is mindres.files."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_each_module_imports_only_from_earlier_ones():
    found = trees()
    assert set(found) - {"__init__"} <= set(ORDER), "a new module needs its place in ORDER"
    for module, tree in found.items():
        if module == "__init__":
            continue
        for name in imported(tree):
            package, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if package == "mindres" and (PACKAGE / f"{other}.py").exists():
                assert ORDER.index(other) < ORDER.index(module), f"{module}.py imports {name}"


def test_no_star_imports_and_no_subpackages():
    for module, tree in trees().items():
        assert not [name for name in imported(tree) if name.endswith(".*")], module
    assert not list(PACKAGE.glob("*/__init__.py"))


def test_floor_0_imports_mindspore_only_inside_functions():
    found = trees()
    for module in [*FLOOR_0, "_mindvision", "__init__"]:
        outside = [node for node in found[module].body if isinstance(node, (ast.Import, ast.ImportFrom))]
        names = list(imported(ast.Module(outside, [])))
        assert names and not [name for name in names if name.startswith(("mindspore", "mindvision"))], module


def test_import_mindres_loads_neither_mindspore_nor_mindvision(run_python):
    code = "import sys, mindres; print(sorted({'mindspore', 'mindvision', 'mindres'} & {*sys.modules}))"
    done = run_python("-c", code)
    assert (done.stdout, done.stderr) == ("['mindres']\n", "")


def test_no_file_outgrows_its_reader():
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.glob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 320} == {}
