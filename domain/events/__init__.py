"""The record's own language: envelope, catalogue, schema versions and canonical bytes."""
