"""Every bound has a name, and every name of a bound stands in a test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import parse, python_files, relative, top_level_packages

# What others keep for us: a test of these would test the program that they are handed to.
KEPT_BY_OTHERS = {
    "ACTIVITIES_AT_ONCE_MAX": "handed to Temporal's worker",
    "CLAIMS_AT_ONCE_MAX": "handed to Temporal's worker",
    "WORKFLOWS_CACHED_MAX": "handed to Temporal's worker",
    "CLI_CONNECTIONS_MAX": "handed to the pool, whose bound is tested as POOL_CONNECTIONS_MAX",
}


def test_every_bound_is_named_in_a_test() -> None:
    names = named_in_tests()
    untested = [
        f"{place} {bound}" for bound, place in bounds() if bound not in names and bound not in KEPT_BY_OTHERS
    ]

    assert untested == [], "test what happens at the limit and just below it"


def test_no_exception_outlives_its_need() -> None:
    assert KEPT_BY_OTHERS.keys() <= {bound for bound, _ in bounds()} - named_in_tests()


def test_a_bound_is_found_however_it_is_written() -> None:
    module = ast.parse("A_MAX = 1\nB_MAX: Final = 2\nC_MIN, C_MAX = 3, 4\n_D_MAX = 5\nE = 6\n")

    assert list(bounds_of(module)) == ["A_MAX", "B_MAX", "C_MAX", "_D_MAX"]


def bounds() -> list[tuple[str, str]]:
    """Each with the module that it stands in."""
    files = python_files(*top_level_packages())
    return [(bound, relative(path)) for path in files for bound in bounds_of(parse(path))]


def bounds_of(module: ast.Module) -> Iterator[str]:
    for statement in module.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = (node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))
            yield from (node.id for node in names if node.id.endswith("_MAX"))


def named_in_tests() -> set[str]:
    """Every word that the tests use, in code or in a string, but this module's."""
    files = (path for path in python_files("tests") if relative(path) != "tests/architecture/test_bounds.py")
    code = (re.sub(r"(?m)#.*$", "", path.read_text(encoding="utf-8")) for path in files)
    return {word for text in code for word in re.findall(r"\b_?[A-Z][A-Z0-9_]*_MAX\b", text)}
