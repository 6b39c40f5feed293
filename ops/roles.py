"""Names in the database that every installation has in common. Apart from what makes them, so that a process
which only needs an address loads no database library."""

from __future__ import annotations

DATABASE = "vivavoce"
# Owns the tables and runs the migrations; nobody logs in as it.
OWNER_ROLE = "vivavoce_owner"
# What every process but the sequencer connects as.
APP_ROLE = "vivavoce_app"
# Owns the few functions that look across tenants; nobody logs in as it.
GATE_ROLE = "vivavoce_gate"
# What the sequencer connects as: it reads the headers of events, and gives them their positions.
SEQUENCER_ROLE = "vivavoce_sequencer"
