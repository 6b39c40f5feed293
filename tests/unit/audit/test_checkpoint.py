"""Checkpoints: what they say, who must have signed, and how many witnesses stand behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.audit.checkpoint import (
    EXTENSION_BYTES_MAX,
    EXTENSION_LINES_MAX,
    ORIGIN_BYTES_MAX,
    WITNESSES_MAX,
    Checkpoint,
    Origin,
    SignedCheckpoint,
    TrustedLog,
    WitnessPolicy,
    parse_checkpoint,
    parse_cosignatures,
    parse_signed_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from domain.audit.errors import Malformed, NotProven, NotSigned
from domain.audit.lexical import SIZE_MAX
from domain.audit.merkle import EMPTY_ROOT
from domain.audit.note import NOTE_BYTES_MAX, KeyName, Note, Signature, SignatureKind, Signer, VerifierKey
from domain.audit.witnessing import cosignature_body
from tests.unit.audit.logs import LOG, NOON_S, OTHER_LOG, TRUSTED, WITNESSES, signed

# C2SP tlog-checkpoint, its example.
EXAMPLE = (
    """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa """
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWX"
    "EhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()

ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


def cosigned(checkpoint: SignedCheckpoint, *witnesses: Signer) -> SignedCheckpoint:
    return checkpoint.cosigned([each.cosign(checkpoint.note.text, at_s=NOON_S) for each in witnesses])


def needing(needed: int, *witnesses: Signer) -> TrustedLog:
    policy = WitnessPolicy(tuple(each.verifier_key for each in witnesses), needed)
    return TrustedLog.of_key(LOG.verifier_key, policy)


def test_the_standards_example_is_read_and_written_back() -> None:
    checkpoint = parse_signed_checkpoint(EXAMPLE)

    assert checkpoint.checkpoint.origin == "example.com/behind-the-sofa"
    assert checkpoint.checkpoint.size == 20_852_163
    assert checkpoint.checkpoint.text() == checkpoint.note.text
    assert checkpoint.encode() == EXAMPLE


def test_a_signed_checkpoint_verifies_as_the_logs() -> None:
    read = parse_signed_checkpoint(signed(300).encode())

    verified = verify_checkpoint(read, TRUSTED)

    assert verified.checkpoint == signed(300).checkpoint
    assert [each.key for each in verified.signed] == [LOG.verifier_key]
    assert verified.cosigned == ()


def test_extension_lines_are_signed_too() -> None:
    checkpoint = Checkpoint(Origin(LOG.name), 1, EMPTY_ROOT, ("one", "zwei ü"))
    note = sign_checkpoint(checkpoint, LOG).note

    assert verify_checkpoint(parse_signed_checkpoint(note.encode()), TRUSTED).checkpoint == checkpoint
    changed = Note(note.text.replace("zwei", "drei"), note.signatures)
    with pytest.raises(NotSigned):
        verify_checkpoint(parse_signed_checkpoint(changed.encode()), TRUSTED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"log\n5\n{ROOT}",
        f"log\n5\n{ROOT}\n\n",
        f"log\n5\n{ROOT}\nextra",
        f"log\n5\n{ROOT}\n\nextra\n",
        "log\n5\n",
        f"\n5\n{ROOT}\n",
        f"log\n\n{ROOT}\n",
        f"log\n05\n{ROOT}\n",
        f"log\n-5\n{ROOT}\n",
        f"log\n+5\n{ROOT}\n",
        f"log\n 5\n{ROOT}\n",
        f"log\n5 \n{ROOT}\n",
        f"log\n5_0\n{ROOT}\n",
        f"log\n0x5\n{ROOT}\n",
        f"log\n5e3\n{ROOT}\n",
        f"log\n٥\n{ROOT}\n",
        f"log\n{SIZE_MAX + 1}\n{ROOT}\n",
        f"log\n{'9' * 100_000}\n{ROOT}\n",
        f"log\n5\n{ROOT[:-1]}\n",
        f"log\n5\n{ROOT} \n",
        f"log\n5\n {ROOT}\n",
        f"log\n5\n{ROOT}=\n",
        f"log\n5\n{ROOT[:-2]}J=\n",
        f"log\n5\n{ROOT.replace('/', '_')}\n",
        f"log\n5\nAA{ROOT}\n",
        "log\n5\nAAAA\n",
        "log\n5\n\n",
        f"lo\tg\n5\n{ROOT}\n",
        f"log\r\n5\r\n{ROOT}\r\n",
        f"log\u2028{ROOT}\n5\n",
    ],
)
def test_a_text_that_is_no_checkpoint_is_refused_with_a_sentence(text: str) -> None:
    assert parse_checkpoint(f"log\n5\n{ROOT}\n").size == 5
    with pytest.raises(Malformed, match=r"checkpoint|extension"):
        parse_checkpoint(text)


def test_sizes_reach_from_nothing_to_the_largest() -> None:
    for size in (0, 1, SIZE_MAX):
        assert parse_checkpoint(f"log\n{size}\n{ROOT}\n").size == size
    for size in (-1, SIZE_MAX + 1):
        with pytest.raises(Malformed, match="size"):
            Checkpoint(Origin("log"), size, EMPTY_ROOT)
    with pytest.raises(Malformed, match="root"):
        Checkpoint(Origin("log"), 1, EMPTY_ROOT[:-1])


def test_lines_are_bounded_in_length_and_number() -> None:
    fits = Checkpoint(
        Origin("o" * ORIGIN_BYTES_MAX), 1, EMPTY_ROOT, ("x" * EXTENSION_BYTES_MAX,) * EXTENSION_LINES_MAX
    )
    assert parse_checkpoint(fits.text()) == fits

    for text, bound in (
        (replace(fits, extensions=()).text().replace("o\n", "oo\n", 1), ORIGIN_BYTES_MAX),
        (fits.text() + "x\n", EXTENSION_LINES_MAX),
        (fits.text() + "x\nx\n", EXTENSION_LINES_MAX),
        (
            replace(fits, extensions=("x",)).text().replace("x", "x" * (EXTENSION_BYTES_MAX + 1)),
            EXTENSION_BYTES_MAX,
        ),
    ):
        with pytest.raises(Malformed, match=str(bound)):
            parse_checkpoint(text)
    for origin in ("", "two\nlines", "\ud800"):
        with pytest.raises(Malformed, match="origin"):
            Checkpoint(Origin(origin), 1, EMPTY_ROOT)


def test_a_checkpoint_of_another_log_or_by_nobody_known_is_not_signed() -> None:
    # Given checkpoints: another origin by the trusted key, the right origin by another key, and none by a log
    other = sign_checkpoint(Checkpoint(Origin("elsewhere"), 1, EMPTY_ROOT), LOG)
    forged = sign_checkpoint(Checkpoint(Origin(LOG.name), 1, EMPTY_ROOT), OTHER_LOG)
    text = signed(5).note.text
    only_witnessed = SignedCheckpoint(
        signed(5).checkpoint, Note(text, (WITNESSES[0].cosign(text, at_s=NOON_S),))
    )

    for each, match in (
        (other, "another log's"),
        (forged, "no trusted key"),
        (only_witnessed, "no trusted key"),
    ):
        with pytest.raises(NotSigned, match=match):
            verify_checkpoint(each, needing(0, WITNESSES[0]))


def test_a_checkpoint_is_what_its_note_says_and_nothing_else() -> None:
    with pytest.raises(Malformed, match="what its note says"):
        verify_checkpoint(SignedCheckpoint(signed(6).checkpoint, signed(5).note), TRUSTED)


def test_an_empty_log_has_the_empty_root() -> None:
    empty = sign_checkpoint(Checkpoint(Origin(LOG.name), 0, EMPTY_ROOT), LOG)
    assert verify_checkpoint(empty, TRUSTED).checkpoint.size == 0

    with pytest.raises(NotProven, match="SHA-256 of nothing"):
        verify_checkpoint(sign_checkpoint(Checkpoint(Origin(LOG.name), 0, bytes(32)), LOG), TRUSTED)


def test_so_many_of_the_witnesses_must_have_cosigned() -> None:
    checkpoint = cosigned(signed(5), WITNESSES[0], WITNESSES[2])

    verified = verify_checkpoint(checkpoint, needing(2, *WITNESSES))

    assert [(each.key.name, each.time_s) for each in verified.cosigned] == [
        ("witness.example/w1", NOON_S),
        ("witness.example/w3", NOON_S),
    ]
    with pytest.raises(NotSigned, match="3 of 3 witnesses must have cosigned; 2 have"):
        verify_checkpoint(checkpoint, needing(3, *WITNESSES))
    with pytest.raises(NotSigned, match="1 of 1 witnesses must have cosigned; 0 have"):
        verify_checkpoint(checkpoint, needing(1, WITNESSES[1]))


def test_a_witness_counts_once_and_a_stranger_not_at_all() -> None:
    one, two, three = (each.verifier_key for each in WITNESSES)
    verified = cosigned(signed(5), *WITNESSES).note.verified([one, three])

    with pytest.raises(NotSigned, match="2 of 2 witnesses must have cosigned; 1 have"):
        WitnessPolicy((one, two), 2).check([*verified, *verified])
    WitnessPolicy((one, three), 2).check(verified)


def test_a_cosignature_of_another_checkpoint_is_refused_and_not_just_uncounted() -> None:
    moved = signed(5).cosigned([WITNESSES[0].cosign(signed(6).note.text, at_s=NOON_S)])

    with pytest.raises(NotSigned, match="not of this text"):
        verify_checkpoint(moved, needing(0, *WITNESSES))


def test_a_policy_that_could_not_be_met_or_would_count_one_witness_twice_is_refused() -> None:
    keys = tuple(each.verifier_key for each in WITNESSES)
    renamed = replace(keys[0], name=KeyName("witness.example/again"))

    for witnesses, needed, match in (
        (keys, 4, "cannot need 4"),
        (keys, -1, "cannot need -1"),
        ((keys[0], renamed), 2, "same key"),
        ((keys[0], keys[0]), 2, "same key"),
        ((LOG.verifier_key,), 1, "kind 0x04"),
    ):
        with pytest.raises(Malformed, match=match):
            WitnessPolicy(witnesses, needed)


def test_a_policy_names_a_bounded_number_of_witnesses() -> None:
    keys = tuple(
        VerifierKey(KeyName(f"w{nth}"), SignatureKind.COSIGNATURE_V1, bytes([nth]) * 32)
        for nth in range(WITNESSES_MAX + 1)
    )

    assert WitnessPolicy(keys[:-1], WITNESSES_MAX).needed == WITNESSES_MAX
    with pytest.raises(Malformed, match=str(WITNESSES_MAX)):
        WitnessPolicy(keys, 1)


def test_a_log_is_trusted_by_keys_of_its_own() -> None:
    with pytest.raises(Malformed, match="one key or more"):
        TrustedLog(Origin("log"), ())
    with pytest.raises(Malformed, match="kind 0x01"):
        TrustedLog(Origin("log"), (WITNESSES[0].verifier_key,))
    own = Signer(KeyName("witness.example/own"), SignatureKind.COSIGNATURE_V1, LOG.seed)
    with pytest.raises(Malformed, match="its own witness"):
        needing(1, own)


def test_a_log_may_change_keys_and_either_signs_for_it() -> None:
    log = TrustedLog(Origin(LOG.name), (OTHER_LOG.verifier_key, LOG.verifier_key))

    assert [each.key for each in verify_checkpoint(signed(5), log).signed] == [LOG.verifier_key]


def test_a_witness_answers_with_cosignatures_and_others_in_the_answer_are_ignored() -> None:
    text = signed(5).note.text
    mine, others = WITNESSES[0].cosign(text, at_s=NOON_S), WITNESSES[1].cosign(text, at_s=NOON_S)
    key = WITNESSES[0].verifier_key

    [verified] = parse_cosignatures(cosignature_body([others, mine]).encode(), signed(5), [key])

    assert verified.signature == mine
    with pytest.raises(NotSigned, match="no cosignature by a key"):
        parse_cosignatures(cosignature_body([others]).encode(), signed(5), [key])
    with pytest.raises(NotSigned, match="not of this text"):
        parse_cosignatures(cosignature_body([mine]).encode(), signed(6), [key])


@pytest.mark.parametrize(
    "body", [b"", b"\n", b"ok\n", b"<html>", b"\xff", "— w\n".encode(), b"x" * (NOTE_BYTES_MAX + 1)]
)
def test_an_answer_that_holds_no_signature_lines_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match=r"signature|answer"):
        parse_cosignatures(body, signed(5), [WITNESSES[0].verifier_key])


def test_what_an_answer_adds_before_its_lines_does_not_become_text() -> None:
    text = signed(5).note.text
    mine = cosignature_body([WITNESSES[0].cosign(text, at_s=NOON_S)])

    with pytest.raises(Malformed, match="signature line"):
        parse_cosignatures(f"more\n\n{mine}".encode(), signed(5), [WITNESSES[0].verifier_key])


def test_a_cosignature_that_is_added_twice_stands_once() -> None:
    line = WITNESSES[0].cosign(signed(5).note.text, at_s=NOON_S)

    twice = signed(5).cosigned([line]).cosigned([line, Signature(line.name, line.key_id, b"x" * 72)])

    assert twice.note.signatures[1:] == (line,)
