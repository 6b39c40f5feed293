"""What every table of a tenant has in common."""

from __future__ import annotations

# Named here once more than in ops.bootstrap, since a released step keeps the names it was written with.
APP_ROLE = "vivavoce_app"
GATE_ROLE = "vivavoce_gate"
SEQUENCER_ROLE = "vivavoce_sequencer"

# An address that sets no tenant, or sets it to nothing, compares with null and sees no row.
CURRENT_TENANT = "nullif(current_setting('app.tenant', true), '')::uuid"


def separate_tenants(table: str) -> list[str]:
    """Row-level security, forced: it holds for the owner of the table too."""
    return [
        f"alter table public.{table} enable row level security",
        f"alter table public.{table} force row level security",
        f"create policy of_tenant on public.{table}"
        f" using (tenant_id = {CURRENT_TENANT}) with check (tenant_id = {CURRENT_TENANT})",
    ]


def seen_by_gate(table: str, columns: str) -> list[str]:
    """The gate's functions look over all tenants, at these columns of this table and at nothing else."""
    return [
        f"grant select ({columns}) on public.{table} to {GATE_ROLE}",
        f"create policy seen_by_gate on public.{table} for select to {GATE_ROLE} using (true)",
    ]
