"""Alembic's entry. The caller brings an open connection that already acts as the owner role, so that what a
step creates belongs to that role and never to the one that the processes use."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection


def run() -> None:
    connection = context.config.attributes.get("connection")
    if not isinstance(connection, Connection):
        raise TypeError("migrations run through ops.bootstrap, which brings the connection to run them on")
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


run()
