"""What is told of an error is decided in one place, so that no second one lets somebody's words through."""

from __future__ import annotations

from tests.architecture.source import imported_modules, parse, python_files, relative, top_level_packages


def test_only_one_module_takes_errors_apart() -> None:
    found = [
        relative(path)
        for path in python_files(*top_level_packages())
        if "traceback" in set(imported_modules(parse(path)))
    ]

    assert found == ["domain/errors.py"]
