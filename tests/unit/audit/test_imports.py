"""The offline verifier imports this package: it must start at once, and without what a server needs."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import domain.audit
from tests.architecture.source import ROOT

# Each takes a good part of a second to import, or is not there on a verifier's machine.
HEAVY = {"torch", "temporalio", "sqlalchemy", "pydantic", "numpy", "asyncio", "ssl", "http", "httpx", "typer"}

SCRIPT = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(f"domain.audit.{name}")
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_the_package_loads_the_standard_library_cryptography_and_nothing_heavy() -> None:
    modules = [module.name for module in pkgutil.iter_modules(domain.audit.__path__)]
    assert {"entry", "merkle", "note", "checkpoint", "proof", "witnessing"} <= set(modules)

    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, *modules], cwd=ROOT, check=True, capture_output=True, text=True
    )

    loaded = set(json.loads(ran.stdout))
    assert "cryptography" in loaded
    assert loaded & HEAVY == set()
