"""What the code imports is what the project file declares and the lock files pin: a clone gets all of it."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import cast

from tests.architecture.source import ROOT, imported_modules, parse, project, python_files, top_level_packages

# Comes with every virtual environment.
ALWAYS_THERE = {"pip"}


def normalised(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*, dev: bool) -> set[str]:
    section = cast(dict[str, dict[str, list[str]]], project()["project"])
    wanted = [*cast(list[str], section["dependencies"])]
    if dev:
        wanted += section["optional-dependencies"]["dev"]
    return {normalised(re.split(r"[\[<>=!~; ]", each, maxsplit=1)[0]) for each in wanted}


def undeclared(files: list[Path], names: set[str]) -> dict[str, str]:
    """Imported packages none of whose distributions is among the names, each with a file that imports it."""
    distributions = importlib.metadata.packages_distributions()
    ours = {*top_level_packages(), "tests"}
    found: dict[str, str] = {}
    for path in files:
        for module in imported_modules(parse(path)):
            top = module.split(".")[0]
            if top in ours or top in sys.stdlib_module_names:
                continue
            if not {normalised(each) for each in distributions.get(top, [])} & (names | ALWAYS_THERE):
                found[top] = path.relative_to(ROOT).as_posix()
    return found


def test_what_the_product_imports_is_declared() -> None:
    assert undeclared(python_files(*top_level_packages()), declared(dev=False) | painting()) == {}


def test_what_the_tests_import_is_declared() -> None:
    assert undeclared(python_files("tests"), declared(dev=True)) == {}


def painting() -> set[str]:
    """Paints the pictures that ship; nobody who runs the product runs it."""
    return {"skia-python"}


def test_the_locks_pin_what_is_declared_with_hashes_and_name_no_registry() -> None:
    for file, names in (
        ("ops/requirements.lock", declared(dev=False)),
        ("ops/requirements-dev.lock", declared(dev=True)),
    ):
        text = (ROOT / file).read_text(encoding="utf-8")
        pins = re.findall(r"^([A-Za-z0-9._-]+)==\S+(.*)\\$", text, flags=re.MULTILINE)

        assert names - {normalised(name) for name, _ in pins} == set(), f"run `make lock` for {file}"
        assert "://" not in text
        assert text.count("--hash=sha256:") >= len(pins)


def test_both_locks_pin_the_same_versions() -> None:
    def pins(file: str) -> set[str]:
        return set(re.findall(r"^[A-Za-z0-9._-]+==[^\s;\\]+", (ROOT / file).read_text(), flags=re.MULTILINE))

    assert pins("ops/requirements.lock") <= pins("ops/requirements-dev.lock")
