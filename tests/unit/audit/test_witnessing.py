"""What a witness answers, case by case as C2SP tlog-witness lists them."""

from __future__ import annotations

import pytest

from domain.audit.checkpoint import (
    Checkpoint,
    Origin,
    TrustedLog,
    WitnessPolicy,
    parse_cosignatures,
    sign_checkpoint,
)
from domain.audit.errors import Malformed
from domain.audit.lexical import SIZE_MAX, encode_base64
from domain.audit.merkle import EMPTY_ROOT, PROOF_HASHES_MAX
from domain.audit.note import NOTE_BYTES_MAX, Note, Signature
from domain.audit.witnessing import (
    CONFLICT_BYTES_MAX,
    REQUEST_BYTES_MAX,
    Accepted,
    Refused,
    Seen,
    WitnessRequest,
    WitnessStatus,
    cosignature_body,
    decide,
    origin_path,
    parse_conflict,
    parse_request,
    refused_as_malformed,
)
from tests.unit.audit.logs import LOG, NOON_S, OTHER_LOG, TRUSTED, WITNESSES, leaves, signed, tree

# C2SP tlog-witness, the example's first lines.
EXAMPLE_HEAD = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

"""


def seen(size: int) -> Seen:
    return Seen(size, signed(size).checkpoint.root)


def asked(old: int, new: int, *, proof: tuple[bytes, ...] | None = None) -> WitnessRequest:
    hashes = tree(leaves(new)).consistency(old) if proof is None else proof
    return WitnessRequest(old, hashes, signed(new))


def refused(request: WitnessRequest, last: Seen, *, log: TrustedLog | None = TRUSTED) -> Refused:
    decision = decide(request, log, last)
    assert isinstance(decision, Refused)
    assert decision.body.endswith("\n")
    return decision


def test_a_log_that_grew_is_accepted_from_its_first_checkpoint_on() -> None:
    last = Seen()
    for size in (1, 2, 7, 7, 64, 300):
        decision = decide(asked(last.size, size), TRUSTED, last)

        assert isinstance(decision, Accepted)
        assert decision.status == 200
        last = decision.seen
    assert last == seen(300)


def test_what_the_witness_answers_is_what_the_log_reads() -> None:
    witness = WITNESSES[0]
    decision = decide(parse_request(asked(0, 5).encode()), TRUSTED, Seen())
    assert isinstance(decision, Accepted)

    body = cosignature_body([witness.cosign(decision.signed.note.text, at_s=NOON_S)])

    [verified] = parse_cosignatures(body.encode(), signed(5), [witness.verifier_key])
    assert verified.time_s == NOON_S


def test_the_statuses_are_those_of_the_protocol() -> None:
    assert {each.name: int(each) for each in WitnessStatus} == {
        "ACCEPTED": 200,
        "BAD_REQUEST": 400,
        "NOT_SIGNED": 403,
        "UNKNOWN_LOG": 404,
        "CONFLICT": 409,
        "NOT_PROVEN": 422,
    }


def test_an_unknown_log_is_not_found() -> None:
    assert refused(asked(0, 5), Seen(), log=None).status is WitnessStatus.UNKNOWN_LOG
    other = TrustedLog.of_key(OTHER_LOG.verifier_key)
    assert refused(asked(0, 5), Seen(), log=other).status == 404


def test_a_checkpoint_that_the_log_did_not_sign_is_forbidden() -> None:
    checkpoint = Checkpoint(Origin(LOG.name), 5, signed(5).checkpoint.root)
    key = LOG.verifier_key
    by_a_stranger = sign_checkpoint(checkpoint, OTHER_LOG)
    spoilt = by_a_stranger.cosigned([Signature(key.name, key.key_id, bytes(64))])
    rolled_over = by_a_stranger.cosigned([LOG.sign(checkpoint.text())])

    assert refused(WitnessRequest(0, (), by_a_stranger), Seen()).status is WitnessStatus.NOT_SIGNED
    assert refused(WitnessRequest(0, (), spoilt), Seen()).status == 403
    assert isinstance(decide(WitnessRequest(0, (), rolled_over), TRUSTED, Seen()), Accepted)


def test_an_old_size_beyond_the_checkpoint_is_a_bad_request() -> None:
    # Also where the witness has seen that size: a log does not shrink.
    answer = refused(WitnessRequest(6, (), signed(5)), seen(6))

    assert answer.status is WitnessStatus.BAD_REQUEST


def test_an_old_size_that_is_not_the_witnesss_own_is_a_conflict_that_tells_it() -> None:
    for request, last in ((asked(0, 9), seen(7)), (asked(3, 9), seen(7)), (asked(7, 9), Seen())):
        answer = refused(request, last)

        assert answer.status is WitnessStatus.CONFLICT
        assert answer.content_type == "text/x.tlog.size"
        assert parse_conflict(answer.body.encode()) == last.size


def test_the_conflicts_size_is_told_before_any_proof_is_judged() -> None:
    # A log that lost its place asks with an old size of 0 and no proof.
    assert refused(asked(0, 9, proof=()), seen(7)).body == "7\n"


@pytest.mark.parametrize(
    ("request_", "last"),
    [
        (asked(7, 9, proof=()), seen(7)),
        (asked(7, 9, proof=(EMPTY_ROOT,)), seen(7)),
        (asked(7, 9, proof=(*tree(leaves(9)).consistency(7), EMPTY_ROOT)), seen(7)),
        (asked(7, 9), Seen(7, signed(6).checkpoint.root)),
        (asked(0, 9, proof=(EMPTY_ROOT,)), Seen()),
        (asked(9, 9, proof=(EMPTY_ROOT,)), seen(9)),
        (asked(9, 9), Seen(9, signed(8).checkpoint.root)),
    ],
)
def test_a_growth_that_is_not_proven_is_unprocessable(request_: WitnessRequest, last: Seen) -> None:
    answer = refused(request_, last)

    assert answer.status is WitnessStatus.NOT_PROVEN
    assert answer.content_type == "text/plain; charset=utf-8"


def test_a_fork_of_the_log_is_refused_whatever_proof_comes_with_it() -> None:
    # Given a log that changed a leaf which the witness has seen, and proves its growth from the changed one
    changed = [leaves(8)[1], *leaves(9)[1:]]
    forked = sign_checkpoint(Checkpoint(Origin(LOG.name), 9, tree(changed).root()), LOG)

    answer = refused(WitnessRequest(7, tree(changed).consistency(7), forked), seen(7))

    assert answer.status is WitnessStatus.NOT_PROVEN


def test_an_empty_log_is_cosigned_with_the_empty_root_only() -> None:
    for root, accepted in ((EMPTY_ROOT, True), (bytes(32), False)):
        empty = sign_checkpoint(Checkpoint(Origin(LOG.name), 0, root), LOG)
        decision = decide(WitnessRequest(0, (), empty), TRUSTED, Seen())
        assert isinstance(decision, Accepted) is accepted
        assert decision.status == (200 if accepted else 422)


def test_a_witness_judges_alone_whatever_policy_its_own_entry_has() -> None:
    strict = TrustedLog.of_key(LOG.verifier_key, WitnessPolicy((WITNESSES[0].verifier_key,), 1))

    assert isinstance(decide(asked(0, 5), strict, Seen()), Accepted)


def test_a_request_has_the_standards_form() -> None:
    data = EXAMPLE_HEAD.encode() + signed(5).encode()

    request = parse_request(data)

    assert request.old_size == 20_852_014
    assert len(request.hashes) == 4
    assert request.signed == signed(5)
    assert request.encode() == data
    assert asked(0, 5).encode() == b"old 0\n\n" + signed(5).encode()


HASH = encode_base64(EMPTY_ROOT)
NOTE = signed(5).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        NOTE,
        b"old 0\n" + NOTE,
        b"old 0\n\n\n" + NOTE,
        b"\n\nold 0\n\n" + NOTE,
        b"old\n\n" + NOTE,
        b"old \n\n" + NOTE,
        b"old 00\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"old +1\n\n" + NOTE,
        b"old 1 \n\n" + NOTE,
        b"old  1\n\n" + NOTE,
        b"OLD 1\n\n" + NOTE,
        b"old 1\r\n\r\n" + NOTE,
        f"old {SIZE_MAX + 1}\n\n".encode() + NOTE,
        b"old " + b"9" * 100_000 + b"\n\n" + NOTE,
        f"old 1\n{HASH[:-1]}\n\n".encode() + NOTE,
        f"old 1\n{HASH} \n\n".encode() + NOTE,
        f"old 1\n{HASH}\nold 1\n\n".encode() + NOTE,
        b"old 1\nAAAA\n\n" + NOTE,
        b"old \xff\n\n" + NOTE,
        b"old 1\n\n" + signed(5).note.text.encode(),
        b"old 1\n\n" + Note("no checkpoint\n", signed(5).note.signatures).encode(),
        b"old 1\n\n" + NOTE + b"\n",
    ],
)
def test_what_is_no_request_is_a_bad_request(data: bytes) -> None:
    assert parse_request(b"old 0\n\n" + NOTE)
    with pytest.raises(Malformed) as error:
        parse_request(data)

    assert refused_as_malformed(error.value).status is WitnessStatus.BAD_REQUEST
    assert refused_as_malformed(error.value).body.endswith(".\n")


def test_a_request_is_bounded() -> None:
    lines = f"{HASH}\n" * PROOF_HASHES_MAX
    longest = f"old {SIZE_MAX}\n{lines}\n".encode()
    assert len(parse_request(longest + NOTE).hashes) == PROOF_HASHES_MAX
    assert len(longest) + NOTE_BYTES_MAX <= REQUEST_BYTES_MAX

    for more in (1, 9):
        with pytest.raises(Malformed, match=f"{PROOF_HASHES_MAX} hashes|hash {PROOF_HASHES_MAX}"):
            parse_request(f"old 1\n{lines}{HASH}\n".encode() + f"{HASH}\n".encode() * more + b"\n" + NOTE)
    with pytest.raises(Malformed, match=f"{PROOF_HASHES_MAX} hashes"):
        WitnessRequest(1, (EMPTY_ROOT,) * (PROOF_HASHES_MAX + 1), signed(5))
    with pytest.raises(Malformed, match=str(REQUEST_BYTES_MAX)):
        parse_request(b"old 0\n\n" + NOTE + b"x" * REQUEST_BYTES_MAX)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"7",
        b"\n",
        b"07\n",
        b"-7\n",
        b" 7\n",
        b"7\n\n",
        b"7\r\n",
        b"\xff\n",
        b"9" * CONFLICT_BYTES_MAX + b"\n",
    ],
)
def test_a_conflict_without_a_size_is_refused(body: bytes) -> None:
    largest = f"{SIZE_MAX}\n".encode()
    assert len(largest) == CONFLICT_BYTES_MAX
    assert parse_conflict(largest) == SIZE_MAX
    with pytest.raises(Malformed, match="conflict"):
        parse_conflict(body)


def test_a_logs_last_checkpoint_is_served_by_the_hash_of_its_origin() -> None:
    assert origin_path(Origin("")) == f"{EMPTY_ROOT.hex()}/checkpoint"
