"""The shape of the database, step by step. `ops.bootstrap` runs these as the owner role."""
