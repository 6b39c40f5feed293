"""The record in Postgres: appending, reading, tenants and who may enter."""
