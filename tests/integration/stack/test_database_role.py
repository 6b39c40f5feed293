"""Commands refuse a role that row-level security does not bind, as the processes do."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from activities.store.engine import create_engine
from ops.cli.errors import STOP_EXIT_CODE
from ops.cli.main import run
from ops.devstack.postgres import EmbeddedPostgres
from ops.roles import APP_ROLE, DATABASE
from ops.stack.folder import DataFolder


@pytest.fixture(scope="module")
def folder() -> Iterator[DataFolder]:
    """A data folder whose database is prepared, and whose server is held for as long as the tests take."""
    with tempfile.TemporaryDirectory(prefix="vivavoce-test-") as place:
        found = DataFolder(Path(place) / "data")
        found.root.mkdir()
        with EmbeddedPostgres(found.postgres):
            assert run(["persona", "list", "--json", "--data", str(found.root)]) == 0
            yield found


def as_superuser(folder: DataFolder, *statements: str) -> None:
    async def execute() -> None:
        url = make_url(EmbeddedPostgres(folder.postgres).superuser_url).set(database=DATABASE)
        engine = create_engine(url.render_as_string(), application_name="administrator")
        try:
            async with engine.begin() as connection:
                for statement in statements:
                    await connection.execute(text(statement))
        finally:
            await engine.dispose()

    asyncio.run(execute())


@pytest.mark.parametrize(
    ("given", "taken", "fault"),
    [
        (f"alter role {APP_ROLE} superuser", f"alter role {APP_ROLE} nosuperuser", "is a superuser"),
        (f"alter role {APP_ROLE} bypassrls", f"alter role {APP_ROLE} nobypassrls", "has BYPASSRLS"),
        (f"create schema theirs authorization {APP_ROLE}", "drop schema theirs", "owns objects"),
    ],
)
@pytest.mark.parametrize("command", [("conversation", "list"), ("persona", "list")], ids=" ".join)
def test_a_command_refuses_a_role_that_sees_every_tenants_rows(
    folder: DataFolder,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    given: str,
    taken: str,
    fault: str,
) -> None:
    # Given an application role that was made mightier than bootstrap made it
    as_superuser(folder, given)
    capsys.readouterr()

    # When a command opens the database
    try:
        code = run([*command, "--json", "--data", str(folder.root)])
    finally:
        as_superuser(folder, taken)

    # Then it reads nothing, says why in a sentence, and goes on when the role is as it was
    told = capsys.readouterr()
    assert (code, told.out) == (STOP_EXIT_CODE, "")
    assert fault in told.err
    assert "beyond what bootstrap gives it" in told.err
    assert run([*command, "--json", "--data", str(folder.root)]) == 0
