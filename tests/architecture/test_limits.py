"""Sizes that a reader can hold, names that shadow nothing, settings read in one place."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import ROOT, parse, python_files, relative, top_level_packages

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 500

# Besides ops/settings.py. None of these reads a setting of the product.
ENVIRONMENT_READERS = {
    # Writes the settings of the processes that it starts into their environment.
    "ops/stack/environment.py",
}


def test_no_module_is_longer_than_the_limit() -> None:
    long = {relative(path): count for path in python_files() if (count := _lines(path)) > MODULE_LINES_MAX}

    assert long == {}


def test_no_function_is_longer_than_the_limit() -> None:
    long = [
        f"{relative(path)}:{node.lineno} {node.name}: {length(node)} lines"
        for path in python_files()
        for node in functions(parse(path))
        if length(node) > FUNCTION_LINES_MAX
    ]

    assert long == []


def test_a_long_function_is_found() -> None:
    body = "\n".join("    x = 1" for _ in range(FUNCTION_LINES_MAX))
    [function] = functions(ast.parse(f"async def f() -> None:\n{body}\n"))

    assert length(function) == FUNCTION_LINES_MAX + 1


def test_no_top_level_name_shadows_an_installed_package() -> None:
    installed = {
        name.split("/")[0]
        for name, distributions in importlib.metadata.packages_distributions().items()
        if set(distributions) != {"vivavoce"}
    }

    assert set(top_level_packages()) & (installed | sys.stdlib_module_names) == set()


def test_no_module_is_named_like_a_module_of_the_standard_library() -> None:
    # Run as a file or put first on the path, its folder would hide the real one.
    shadows = [
        relative(path)
        for path in python_files(*top_level_packages())
        if (path.parent.name if path.name == "__init__.py" else path.stem) in sys.stdlib_module_names
    ]

    assert shadows == []


def test_settings_are_read_from_the_environment_in_one_place() -> None:
    readers = {
        relative(path) for path in python_files(*top_level_packages()) if reads_environment(parse(path))
    }

    assert readers - {"ops/settings.py"} - ENVIRONMENT_READERS == set()


def test_a_reader_of_the_environment_is_found() -> None:
    assert reads_environment(ast.parse("import os\nos.environ['X']"))
    assert reads_environment(ast.parse("import os\nos.getenv('X')"))
    assert reads_environment(ast.parse("from os import environ"))
    assert not reads_environment(ast.parse("import os\nos.getpid()"))


def test_no_module_of_the_top_level_lies_outside_a_package() -> None:
    assert sorted(path.name for path in ROOT.glob("*.py")) == []


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def reads_environment(tree: ast.Module) -> bool:
    names = {"environ", "environb", "getenv", "getenvb"}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names and _is_os(node.value))
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and any(alias.name in names for alias in node.names)
        )
        for node in ast.walk(tree)
    )


def _is_os(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "os"


def _lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")
