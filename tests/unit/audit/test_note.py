"""Signed notes: the standard's example, another program's note, and everything that is no note."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.audit.errors import Malformed, NotSigned
from domain.audit.note import (
    COSIGNATURE_TIME_MAX,
    KEY_NAME_BYTES_MAX,
    KEY_TEXT_CHARS_MAX,
    NOTE_BYTES_MAX,
    SIGNATURE_BYTES_MAX,
    SIGNATURES_MAX,
    KeyName,
    Note,
    Signature,
    SignatureKind,
    Signer,
    VerifierKey,
    cosigned_message,
    distinct_keys,
    parse_note,
    parse_signature_lines,
    parse_signer,
    parse_verifier_key,
)
from tests.unit.audit.logs import LOG, NOON_S, OTHER_LOG, WITNESSES

# C2SP signed-note, section "Example".
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()

# Made by golang.org/x/mod/sumdb/note and transparency-dev/formats with the keys of these seeds.
GO_LOG = Signer(KeyName("example.com/log"), SignatureKind.ED25519, bytes(range(32)))
GO_WITNESS = Signer(KeyName("witness.example/w1"), SignatureKind.COSIGNATURE_V1, bytes(range(32, 64)))
GO_KEYS = (
    "example.com/log+d455c521+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
    "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X",
)
GO_NOTE = (
    """example.com/log
300
56/ILTiUT8eTBUUygJHUWCMojB9zTL2sBjlnE+vUtdU=

— example.com/log """
    "1FXFIdQAzRtEzJDn996zc5hVFxkIxjvlv4tUrhrjEV+pM4sHovVenU35Ti4AI5jfMKe0M7isoc1yG+PPmK53A9eIBwU=\n"
    "— witness.example/w1 IDJKvgAAAABrBcXU2JwMuAQ3zfjpAKJuSOOQ5YWCn/Huj3gy3N35"
    "e5oqZOBM8DeVewvpA72bG6BE5f7uiSslY1C16EPVfu6zco5ACw==\n"
).encode()
GO_TIME_S = int.from_bytes(bytes.fromhex("6b05c5d4"), "big")

TEXT = "one\n\ntwo: zwei\n"


def signed(*signatures: Signature) -> bytes:
    return Note(TEXT, signatures or (LOG.sign(TEXT),)).encode()


def line(name: str, blob: bytes) -> str:
    return f"— {name} {base64.b64encode(blob).decode()}\n"


def test_the_standards_example_verifies() -> None:
    key = parse_verifier_key(EXAMPLE_KEY)
    note = parse_note(EXAMPLE)

    [verified] = note.verified([key])

    assert note.text == "This is an example message.\n"
    assert verified.key == key
    assert verified.time_s is None
    assert key.text() == EXAMPLE_KEY
    assert note.encode() == EXAMPLE


def test_another_programs_note_and_cosignature_verify_and_are_what_ours_would_be() -> None:
    keys = [parse_verifier_key(text) for text in GO_KEYS]

    note = parse_note(GO_NOTE)

    assert [each.time_s for each in note.verified(keys)] == [None, GO_TIME_S]
    assert keys == [GO_LOG.verifier_key, GO_WITNESS.verifier_key]
    assert note.signatures == (GO_LOG.sign(note.text), GO_WITNESS.cosign(note.text, at_s=GO_TIME_S))


def test_the_text_may_hold_empty_lines() -> None:
    note = parse_note(signed())

    assert note.text == TEXT
    assert note.verified([LOG.verifier_key])


def test_signatures_by_strangers_are_carried_along_and_ignored() -> None:
    # Given a line of a kind that nobody here knows, and one that shares only the name or only the id
    key = LOG.verifier_key
    strangers = (
        Signature(KeyName("post.quantum/w"), b"\x01\x02\x03\x04", b"x" * 5000),
        Signature(key.name, b"\x00\x00\x00\x00", b"x" * 64),
        Signature(KeyName("another.name"), key.key_id, b"x" * 64),
    )
    data = signed(*strangers, LOG.sign(TEXT))

    assert parse_note(data).encode() == data
    assert [each.key for each in parse_note(data).verified([key])] == [key]
    assert parse_note(data).verified([OTHER_LOG.verifier_key]) == ()


@pytest.mark.parametrize(
    "blob",
    [
        LOG.sign(TEXT + "\n").blob,
        OTHER_LOG.sign(TEXT).blob,
        LOG.sign(TEXT).blob[:-1],
        LOG.sign(TEXT).blob + b"\x00",
        b"\x00",
        b"\x00" * 64,
    ],
)
def test_one_wrong_signature_under_a_trusted_key_spoils_the_note(blob: bytes) -> None:
    wrong = Signature(LOG.name, LOG.verifier_key.key_id, blob)

    with pytest.raises(NotSigned, match=r"log\.example/vivavoce is not of this text"):
        parse_note(signed(OTHER_LOG.sign(TEXT), wrong)).verified([OTHER_LOG.verifier_key, LOG.verifier_key])


def test_a_key_signs_a_note_once() -> None:
    witness = WITNESSES[0]
    twice = signed(witness.cosign(TEXT, at_s=NOON_S), witness.cosign(TEXT, at_s=NOON_S + 1))

    with pytest.raises(NotSigned, match="two signatures"):
        parse_note(twice).verified([witness.verifier_key])
    with pytest.raises(Malformed, match="same signature line twice"):
        parse_note(signed(LOG.sign(TEXT), LOG.sign(TEXT)))


def test_the_kinds_of_signature_do_not_pass_for_each_other() -> None:
    # Given one key pair used for both kinds, as it should not be
    witness = WITNESSES[0]
    as_log = Signer(witness.name, SignatureKind.ED25519, witness.seed)
    assert as_log.verifier_key.key_id != witness.verifier_key.key_id

    # Then a cosignature's bytes under the other kind's id are refused, and so is the reverse
    plain, timed = as_log.sign(TEXT), witness.cosign(TEXT, at_s=NOON_S)
    for key, blob in (
        (as_log.verifier_key, timed.blob),
        (as_log.verifier_key, timed.blob[8:]),
        (witness.verifier_key, plain.blob),
        (witness.verifier_key, timed.blob[:8] + plain.blob),
    ):
        with pytest.raises(NotSigned):
            Note(TEXT, (Signature(key.name, key.key_id, blob),)).verified([key])
    with pytest.raises(Malformed, match="COSIGNATURE_V1 is needed"):
        as_log.cosign(TEXT, at_s=NOON_S)
    with pytest.raises(Malformed, match="ED25519 is needed"):
        witness.sign(TEXT)


def test_the_time_of_a_cosignature_is_signed_and_within_its_bound() -> None:
    witness = WITNESSES[0]
    blob = witness.cosign(TEXT, at_s=COSIGNATURE_TIME_MAX).blob
    at_the_limit = Signature(witness.name, witness.verifier_key.key_id, blob)

    [verified] = Note(TEXT, (at_the_limit,)).verified([witness.verifier_key])
    assert verified.time_s == COSIGNATURE_TIME_MAX
    for other in (0, NOON_S, COSIGNATURE_TIME_MAX + 1):
        moved = Signature(witness.name, witness.verifier_key.key_id, other.to_bytes(8, "big") + blob[8:])
        with pytest.raises(NotSigned):
            Note(TEXT, (moved,)).verified([witness.verifier_key])
    private = Ed25519PrivateKey.from_private_bytes(witness.seed)
    for never in (0, COSIGNATURE_TIME_MAX + 1):
        blob = never.to_bytes(8, "big") + private.sign(cosigned_message(TEXT, never))
        with pytest.raises(NotSigned, match="no time"):
            Note(TEXT, (replace(at_the_limit, blob=blob),)).verified([witness.verifier_key])
    for never in (0, -1, COSIGNATURE_TIME_MAX + 1):
        with pytest.raises(Malformed, match="seconds since 1970"):
            witness.cosign(TEXT, at_s=never)


GOOD = line("w", b"\x01\x02\x03\x04\x05")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        f"text\n{GOOD}".encode(),
        f"\n{GOOD}".encode(),
        f"text\n\n{GOOD}"[:-1].encode(),
        f"text\n\n{GOOD}\n".encode(),
        f"text\n\n{GOOD}more\n".encode(),
        f"text\n\n{GOOD}{GOOD}".encode(),
        f"te\rxt\n\n{GOOD}".encode(),
        f"te\x00xt\n\n{GOOD}".encode(),
        f"te\txt\n\n{GOOD}".encode(),
        f"text\r\n\r\n{GOOD}".encode(),
        b"te\xffxt\n\n" + GOOD.encode(),
        b"te\xed\xa0\x80xt\n\n" + GOOD.encode(),
        f"text\n\n{GOOD}".encode("utf-16"),
        b"text\n\n- w AQIDBAU=\n",
        "text\n\n—w AQIDBAU=\n".encode(),
        "text\n\n— AQIDBAU=\n".encode(),
        "text\n\n—  AQIDBAU=\n".encode(),
        "text\n\n— w  AQIDBAU=\n".encode(),
        "text\n\n— w AQIDBAU= \n".encode(),
        "text\n\n— w AQIDBAU=\r\n".encode(),
        "text\n\n— w AQIDBAU\n".encode(),
        "text\n\n— w AQIDBAV=\n".encode(),
        "text\n\n— w AQIDBA==\n".encode(),
        "text\n\n— w AQID_AU=\n".encode(),
        "text\n\n— w AQIDBAU=AQIDBAU=\n".encode(),
        "text\n\n— w\u00a0x AQIDBAU=\n".encode(),
        "text\n\n— w\u2028x AQIDBAU=\n".encode(),
        "text\n\n— w+x AQIDBAU=\n".encode(),
        "text\n\n— w \n".encode(),
        "text\n\n— w ＡＱＩＤＢＡＵ＝\n".encode(),
    ],
)
def test_what_is_no_note_is_refused_with_a_sentence(data: bytes) -> None:
    assert parse_note(f"text\n\n{GOOD}".encode()).signatures
    with pytest.raises(Malformed, match=r"note|signature|key's name"):
        parse_note(data)


def test_a_note_is_bounded_in_bytes_and_signatures() -> None:
    lines = [line(f"w{nth}", nth.to_bytes(8, "big")) for nth in range(SIGNATURES_MAX + 2)]
    assert len(parse_note(f"text\n\n{''.join(lines[:SIGNATURES_MAX])}".encode()).signatures) == SIGNATURES_MAX
    for count in (SIGNATURES_MAX + 1, SIGNATURES_MAX + 2):
        with pytest.raises(Malformed, match=str(SIGNATURES_MAX)):
            parse_note(f"text\n\n{''.join(lines[:count])}".encode())

    tail = f"\n\n{GOOD}".encode()
    assert parse_note(b"x" * (NOTE_BYTES_MAX - len(tail)) + tail).signatures
    with pytest.raises(Malformed, match=str(NOTE_BYTES_MAX)):
        parse_note(b"x" * (NOTE_BYTES_MAX - len(tail) + 1) + tail)


def test_a_signature_and_a_name_are_bounded() -> None:
    [longest] = parse_signature_lines(line("n" * KEY_NAME_BYTES_MAX, b"x" * SIGNATURE_BYTES_MAX))
    assert len(longest.blob) == SIGNATURE_BYTES_MAX - 4
    with pytest.raises(Malformed, match=str(SIGNATURE_BYTES_MAX)):
        parse_signature_lines(line("n", b"x" * (SIGNATURE_BYTES_MAX + 1)))
    with pytest.raises(Malformed, match=str(KEY_NAME_BYTES_MAX)):
        parse_signature_lines(line("é" * (KEY_NAME_BYTES_MAX // 2 + 1), b"12345"))


@pytest.mark.parametrize("name", ["", " ", "a b", "a+b", "a\nb", "a\u2003b", "a\x00b", "a\x85b", "\ud800"])
def test_a_name_that_would_not_survive_a_note_is_refused(name: str) -> None:
    with pytest.raises(Malformed, match="key's name"):
        VerifierKey(KeyName(name), SignatureKind.ED25519, bytes(32))
    with pytest.raises(Malformed, match="key's name"):
        Signer(KeyName(name), SignatureKind.ED25519, bytes(32))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U0=",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\nmore",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k=",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_a_key_that_was_mistyped_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="key"):
        parse_verifier_key(text)


def test_a_key_file_may_end_in_a_newline_and_not_go_on_for_ever() -> None:
    assert parse_verifier_key(f" {EXAMPLE_KEY}\n") == parse_verifier_key(EXAMPLE_KEY)
    longest = VerifierKey(KeyName("n" * KEY_NAME_BYTES_MAX), SignatureKind.ED25519, bytes(32))
    assert len(longest.text()) <= KEY_TEXT_CHARS_MAX
    assert parse_verifier_key(longest.text()) == longest
    with pytest.raises(Malformed, match=str(KEY_TEXT_CHARS_MAX)):
        parse_verifier_key("x" * KEY_TEXT_CHARS_MAX + EXAMPLE_KEY)


def test_a_private_key_is_read_back_from_its_text_and_never_shown() -> None:
    for signer in (LOG, WITNESSES[0]):
        assert parse_signer(signer.secret_text() + "\n") == signer
        assert str(signer.seed) not in repr(signer)
    assert GO_LOG.secret_text().startswith("PRIVATE+KEY+example.com/log+d455c521+")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (LOG.verifier_key.text(), "begins with PRIVATE"),
        (LOG.secret_text().replace("vivavoce", "vivavocf"), "mistyped"),
        (LOG.secret_text()[:-4], "32 bytes"),
        (LOG.secret_text()[:-1], "Base64"),
        ("PRIVATE+KEY+", "NAME"),
    ],
)
def test_a_text_that_is_no_private_key_is_refused_without_quoting_it(text: str, match: str) -> None:
    with pytest.raises(Malformed, match=match) as refused:
        parse_signer(text)

    assert LOG.secret_text()[-40:-1] not in str(refused.value)


def test_keys_have_their_length() -> None:
    for length in (0, 31, 33):
        with pytest.raises(Malformed, match="32 bytes"):
            VerifierKey(LOG.name, SignatureKind.ED25519, bytes(length))
        with pytest.raises(Malformed, match="32 bytes"):
            Signer(LOG.name, SignatureKind.ED25519, bytes(length))


def test_a_public_key_that_is_no_point_of_the_curve_verifies_nothing() -> None:
    bent = VerifierKey(LOG.name, SignatureKind.ED25519, b"\xff" * 32)

    with pytest.raises(NotSigned):
        Note(TEXT, (Signature(bent.name, bent.key_id, bytes(64)),)).verified([bent])


def test_two_trusted_keys_that_could_not_be_told_apart_are_refused() -> None:
    # Given two keys of one name whose ids, which are short, are the same
    one, other = (
        VerifierKey(KeyName("log.example/twins"), SignatureKind.ED25519, number.to_bytes(32, "big"))
        for number in (98_678, 115_443)
    )
    assert one.key_id == other.key_id

    assert distinct_keys([one, LOG.verifier_key, one]) == [one, LOG.verifier_key]
    with pytest.raises(Malformed, match="share an id"):
        parse_note(signed()).verified([one, other])


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "cr\r\n", "nul\x00\n"])
def test_a_text_that_would_not_survive_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(Malformed, match="the text of a note"):
        LOG.sign(text)
    with pytest.raises(Malformed, match="the text of a note"):
        WITNESSES[0].cosign(text, at_s=NOON_S)


def test_adding_a_signature_keeps_the_one_that_stands() -> None:
    witness = WITNESSES[0]
    first, second = (witness.cosign(TEXT, at_s=at) for at in (NOON_S, NOON_S + 60))
    note = Note(TEXT, (LOG.sign(TEXT),))

    assert note.signed_too([first]).signed_too([second]).signatures == (LOG.sign(TEXT), first)
