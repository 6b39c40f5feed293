"""Arrows of import point one way, nothing goes in a circle, and no package stands outside the contracts."""

from __future__ import annotations

import grimp
import pytest
from importlinter import api
from importlinter.application import use_cases

from tests.architecture.source import (
    ROOT,
    imported_modules,
    parse,
    python_files,
    relative,
    top_level_packages,
)

# Who may load the media stack's network half: the media worker, and the caller that rings it up.
AIORTC_PLACES = ("media/", "ops/caller/", "ops/processes/media_worker.py")


def test_every_import_contract_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))

    kept = use_cases.lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None)

    assert kept is use_cases.SUCCESS, "run `make check` to see which contract is broken"


def test_every_package_is_covered_by_the_contracts() -> None:
    options = api.read_configuration(str(ROOT / "pyproject.toml"))
    named = {
        word.strip()
        for contract in options["contracts_options"]
        for key in ("layers", "source_modules", "forbidden_modules")
        for entry in contract.get(key, [])
        for word in entry.split("|")
    }

    assert set(options["session_options"]["root_packages"]) == set(top_level_packages())
    assert set(top_level_packages()) <= named


def test_every_folder_of_python_files_is_a_package() -> None:
    outside = [relative(path) for path in python_files() if not (path.parent / "__init__.py").exists()]

    assert outside == [], "the import contracts do not see files outside packages"


def test_no_imports_go_in_a_circle() -> None:
    graph = grimp.build_graph(*top_level_packages(), cache_dir=None)

    assert (
        circles({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}) == []
    )


def test_a_circle_is_found() -> None:
    straight = {"a": {"b"}, "b": {"c"}, "c": set[str]()}

    assert circles(straight) == []
    assert circles({**straight, "c": {"a"}}) == [["a", "b", "c"]]


def test_aiortc_is_imported_only_by_the_media_side_and_the_caller() -> None:
    others = [
        relative(path)
        for path in python_files(*top_level_packages())
        if not relative(path).startswith(AIORTC_PLACES)
        and any(module.split(".")[0] == "aiortc" for module in imported_modules(parse(path)))
    ]

    assert others == []


def circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules of which each reaches every other."""
    reach = {module: _reachable(module, imports) for module in imports}
    found: set[tuple[str, ...]] = set()
    for module, reached in reach.items():
        if module in reached:
            found.add(tuple(sorted(other for other in reached if module in reach[other])))
    return sorted(list(circle) for circle in found)


def _reachable(start: str, imports: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    pending = list(imports[start])
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending.extend(imports.get(module, ()))
    return seen
