"""Proof files: the standard's form, and everything that is not of it."""

from __future__ import annotations

import pytest

from domain.audit.checkpoint import Origin, TrustedLog, WitnessPolicy
from domain.audit.errors import Malformed, NotProven, NotSigned
from domain.audit.lexical import encode_base64
from domain.audit.merkle import PROOF_HASHES_MAX
from domain.audit.note import NOTE_BYTES_MAX
from domain.audit.proof import EXTRA_BYTES_MAX, PROOF_BYTES_MAX, LogProof, parse_proof, verify_proof
from tests.unit.audit.logs import LOG, NOON_S, OTHER_LOG, TRUSTED, WITNESSES, leaves, signed, tree

SIZE, INDEX = 300, 123
HASHES = tree(leaves(SIZE)).inclusion(INDEX)
PROOF = LogProof(INDEX, HASHES, signed(SIZE))
NOTE = signed(SIZE).encode().decode()


def spelled(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n\n" + NOTE).encode()


HASH_LINES = [encode_base64(each) for each in HASHES]


def test_a_proof_has_the_standards_form() -> None:
    assert PROOF.encode() == spelled("c2sp.org/tlog-proof@v1", f"index {INDEX}", *HASH_LINES)
    assert parse_proof(PROOF.encode()) == PROOF


def test_a_proof_proves_its_leaf_at_its_index_in_the_trusted_log() -> None:
    verified = verify_proof(parse_proof(PROOF.encode()), leaves(SIZE)[INDEX], TRUSTED)

    assert verified.checkpoint == signed(SIZE).checkpoint
    with pytest.raises(NotProven, match="does not lead"):
        verify_proof(PROOF, leaves(SIZE)[INDEX + 1], TRUSTED)
    with pytest.raises(NotProven, match="does not lead"):
        verify_proof(LogProof(INDEX - 1, HASHES, signed(SIZE)), leaves(SIZE)[INDEX], TRUSTED)
    with pytest.raises(NotSigned, match="no trusted key"):
        verify_proof(PROOF, leaves(SIZE)[INDEX], TrustedLog(Origin(LOG.name), (OTHER_LOG.verifier_key,)))


def test_a_proof_is_worth_what_its_witnesses_are() -> None:
    witness = WITNESSES[0]
    log = TrustedLog.of_key(LOG.verifier_key, WitnessPolicy((witness.verifier_key,), 1))
    cosigned = signed(SIZE).cosigned([witness.cosign(signed(SIZE).note.text, at_s=NOON_S)])

    with pytest.raises(NotSigned, match="0 have"):
        verify_proof(PROOF, leaves(SIZE)[INDEX], log)
    proof = parse_proof(LogProof(INDEX, HASHES, cosigned).encode())
    assert [each.time_s for each in verify_proof(proof, leaves(SIZE)[INDEX], log).cosigned] == [NOON_S]


def test_a_log_of_one_leaf_needs_no_hashes() -> None:
    proof = LogProof(0, (), signed(1))

    assert parse_proof(proof.encode()) == proof
    assert verify_proof(proof, leaves(1)[0], TRUSTED)


@pytest.mark.parametrize("extra", [b"", b"\x00", b"name of the file", b"x" * EXTRA_BYTES_MAX])
def test_extra_bytes_travel_along(extra: bytes) -> None:
    proof = LogProof(INDEX, HASHES, signed(SIZE), extra)

    assert parse_proof(proof.encode()) == proof
    assert proof.encode().split(b"\n")[1] == b"extra " + encode_base64(extra).encode()


def test_extra_bytes_hashes_and_the_whole_are_bounded() -> None:
    with pytest.raises(Malformed, match=str(EXTRA_BYTES_MAX)):
        LogProof(INDEX, HASHES, signed(SIZE), b"x" * (EXTRA_BYTES_MAX + 1))
    too_much = encode_base64(b"x" * (EXTRA_BYTES_MAX + 1))
    with pytest.raises(Malformed, match=str(EXTRA_BYTES_MAX)):
        parse_proof(spelled("c2sp.org/tlog-proof@v1", f"extra {too_much}", "index 0"))

    longest = LogProof(INDEX, (HASHES[0],) * PROOF_HASHES_MAX, signed(SIZE))
    assert parse_proof(longest.encode()) == longest
    with pytest.raises(Malformed, match=str(PROOF_HASHES_MAX)):
        LogProof(INDEX, (HASHES[0],) * (PROOF_HASHES_MAX + 1), signed(SIZE))
    for count in (PROOF_HASHES_MAX + 1, PROOF_HASHES_MAX + 9):
        with pytest.raises(Malformed, match=f"{PROOF_HASHES_MAX} hashes|hash {PROOF_HASHES_MAX}"):
            parse_proof(spelled("c2sp.org/tlog-proof@v1", "index 0", *[HASH_LINES[0]] * count))

    # Everything at its limit fits the whole; one byte more is not even looked at.
    head = LogProof(INDEX, longest.hashes, signed(SIZE), b"x" * EXTRA_BYTES_MAX).encode()
    assert len(head) - len(NOTE.encode()) + NOTE_BYTES_MAX <= PROOF_BYTES_MAX
    with pytest.raises(Malformed, match=str(PROOF_BYTES_MAX)):
        parse_proof(PROOF.encode() + b"x" * PROOF_BYTES_MAX)


HEAD = "c2sp.org/tlog-proof@v1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        NOTE.encode(),
        spelled(HEAD),
        spelled("c2sp.org/tlog-proof@v2", "index 1"),
        spelled(f" {HEAD}", "index 1"),
        spelled(f"{HEAD}\r", "index 1\r"),
        spelled(HEAD, "index"),
        spelled(HEAD, "index "),
        spelled(HEAD, "index 01"),
        spelled(HEAD, "index -1"),
        spelled(HEAD, "index +1"),
        spelled(HEAD, "index 1 "),
        spelled(HEAD, "index  1"),
        spelled(HEAD, "Index 1"),
        spelled(HEAD, f"index {2**63}"),
        spelled(HEAD, f"index {'9' * 10_000}"),
        spelled(HEAD, f"index {SIZE}"),
        spelled(HEAD, "index 1", "index 1"),
        spelled(HEAD, "index 1", "extra AA=="),
        spelled(HEAD, "extra AA==", "extra AA==", "index 1"),
        spelled(HEAD, "extra AB==", "index 1"),
        spelled(HEAD, "extra", "index 1"),
        spelled(HEAD, "index 1", HASH_LINES[0][:-1]),
        spelled(HEAD, "index 1", HASH_LINES[0] + " "),
        spelled(HEAD, "index 1", "AAAA"),
        spelled(HEAD, "index 1", "", HASH_LINES[0]),
        spelled(HEAD, "", "index 1"),
        f"{HEAD}\nindex 1\n{NOTE}".encode(),
        f"{HEAD}\nindex 1\n\n\n{NOTE}".encode(),
        f"{HEAD}\nindex 1\n\n{signed(SIZE).note.text}".encode(),
        b"\xff" + spelled(HEAD, "index 1"),
        spelled(HEAD, "index 1") + b"\n",
    ],
)
def test_what_is_no_proof_is_refused_with_a_sentence(data: bytes) -> None:
    assert parse_proof(spelled(HEAD, "index 1"))
    with pytest.raises(Malformed):
        parse_proof(data)
