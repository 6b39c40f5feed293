"""The transparency log: entries, Merkle tree, tiles, signed checkpoints, proofs and witnesses.

Every format is a public one (RFC 6962, RFC 8785, C2SP), so that strangers' programs can check what is written
here. The offline verifier imports this package too: it needs the standard library and `cryptography` only.
"""
