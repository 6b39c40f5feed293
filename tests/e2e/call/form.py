"""The document of `vivavoce demo --json`, as it was promised to programs: each key, its type, and what must
hold between them. Written out here by itself, so that a change of the product's own models shows."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

Document = dict[str, Any]

KEYS = {"conversation_id", "status", "transcript", "events", "latency_ms", "stages_ms", "video", "saved"}
TURN_KEYS = {"turn", "role", "text", "played_text", "interrupted", "started_at", "ended_at", "words"}
WORD_KEYS = {"w", "start_s", "end_s", "confidence"}
LATENCY_KEYS = {"turns", "p50", "p95", "max", "each", "cut_ins"}
STAGE_KEYS = {"end_of_turn", "recognition", "answer", "gate_and_commit", "synthesis", "transport"}
VIDEO_KEYS = {"frames", "fps", "longest_gap_ms"}
SAVED_KEYS = {"heard", "video", "events"}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# A word ends where the next begins, to the grain of the recogniser and of the synthesiser.
OVERLAP_S_MAX = 0.1
# What a packet's time on the wire and the recording's clock may lie apart.
CLOCKS_APART_S_MAX = 0.5


def assert_sealed(shown: Document, *, saved: bool) -> None:
    """A document of a call that came to its end."""
    assert set(shown) == KEYS
    assert shown["status"] == "sealed"
    assert UUID.fullmatch(shown["conversation_id"])
    assert shown["events"]["conversation.sealed"] == 1
    _assert_figures(shown)
    _assert_transcript(shown["transcript"])
    if saved:
        assert set(shown["saved"]) == SAVED_KEYS
        assert all(isinstance(name, str) and name for name in shown["saved"].values())
    else:
        assert shown["saved"] is None


def assert_failed(shown: Document) -> None:
    """The same document, with what went wrong in a sentence; what is not known is empty or null."""
    assert set(shown) == KEYS | {"error"}
    assert shown["status"] == "failed"
    assert re.fullmatch(r"\S.{10,}[.!]", shown["error"], re.DOTALL)
    assert shown["conversation_id"] is None or UUID.fullmatch(shown["conversation_id"])
    assert "conversation.sealed" not in shown["events"] or shown["events"]["conversation.sealed"] == 1
    assert shown["saved"] is None or set(shown["saved"]) == SAVED_KEYS
    _assert_figures(shown)
    _assert_transcript(shown["transcript"])


def assert_told_as_recorded(shown: Document, events: Sequence[dict[str, Any]]) -> None:
    """The transcript says what the events say, one row for adjacent lines of one role; and the events are as
    many as those of the record."""
    counts: dict[str, int] = {}
    for event in events:
        counts[event["type"]] = counts.get(event["type"], 0) + 1
    assert shown["events"] == counts
    played = {
        event["payload"]["sentence_id"]: event["payload"].get("played_text")
        for event in events
        if event["type"] in ("sentence.played", "sentence.interrupted")
    }
    lines: list[tuple[str, str, str]] = []
    for event in events:
        said = event["payload"]
        if event["type"] == "utterance.transcribed":
            lines.append(("user", said["text"], ""))
        elif event["type"] == "sentence.committed":
            fate = played[said["sentence_id"]]
            lines.append(("persona", said["text"], said["text"] if fate is None else fate))
    rows = [(role, list(joined)) for role, joined in itertools.groupby(lines, lambda line: line[0])]
    assert [(row["role"], row["text"]) for row in shown["transcript"]] == [
        (role, " ".join(text for _, text, _ in joined)) for role, joined in rows
    ]
    assert [row["played_text"] for row in shown["transcript"]] == [
        " ".join(heard for _, _, heard in joined if heard) if role == "persona" else None
        for role, joined in rows
    ]


def _assert_transcript(rows: Sequence[Document]) -> None:
    assert [row["turn"] for row in rows] == list(range(1, len(rows) + 1))
    assert all(one["role"] != other["role"] for one, other in itertools.pairwise(rows))
    starts: list[float] = []
    for row in rows:
        assert set(row) == TURN_KEYS
        assert row["role"] in ("user", "persona")
        assert isinstance(row["text"], str)
        assert row["text"]
        assert isinstance(row["interrupted"], bool)
        assert (row["played_text"] is None) is (row["role"] == "user")
        assert not (row["interrupted"] and row["role"] == "user")
        for key in ("started_at", "ended_at"):
            assert RFC_3339.fullmatch(row[key]), row[key]
        began, ended = instant(row["started_at"]), instant(row["ended_at"])
        assert began <= ended
        starts.append(began.timestamp())
        _assert_words(row["words"])
        if row["words"]:
            assert [word["w"] for word in row["words"]] == (row["played_text"] or row["text"]).split()
            said_s = row["words"][-1]["end_s"] - row["words"][0]["start_s"]
            assert said_s <= (ended - began).total_seconds() + CLOCKS_APART_S_MAX
    assert starts == sorted(starts)
    spoken = [row for row in rows if row["words"]]
    for row in spoken[1:]:
        since_s = (instant(row["started_at"]) - instant(spoken[0]["started_at"])).total_seconds()
        apart_s = row["words"][0]["start_s"] - spoken[0]["words"][0]["start_s"] - since_s
        assert abs(apart_s) < CLOCKS_APART_S_MAX, "a word's place in the call is that of its turn"


def _assert_words(words: Sequence[Document]) -> None:
    for word in words:
        assert set(word) == WORD_KEYS
        assert isinstance(word["w"], str)
        assert word["w"].strip() == word["w"] != ""
        assert all(_is_number(word[key]) for key in ("start_s", "end_s", "confidence"))
        assert 0 <= word["start_s"] <= word["end_s"]
        assert 0 <= word["confidence"] <= 1
    for word, following in itertools.pairwise(words):
        assert word["start_s"] <= following["start_s"]
        assert word["end_s"] <= following["start_s"] + OVERLAP_S_MAX


def _assert_figures(shown: Document) -> None:
    for kind, count in shown["events"].items():
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", kind)
        assert type(count) is int
        assert count > 0
    latency = shown["latency_ms"]
    assert set(latency) == LATENCY_KEYS
    assert type(latency["turns"]) is type(latency["cut_ins"]) is int
    assert len(latency["each"]) <= latency["turns"]
    assert all(each is None or (type(each) is int and each >= 0) for each in latency["each"])
    known = sorted(each for each in latency["each"] if each is not None)
    assert latency["max"] == (known[-1] if known else None)
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        assert latency[name] == (known[max(0, math.ceil(share * len(known)) - 1)] if known else None)
    assert set(shown["stages_ms"]) == STAGE_KEYS
    for value in shown["stages_ms"].values():
        assert _is_number(value) if known else value is None or _is_number(value)
    video = shown["video"]
    assert set(video) == VIDEO_KEYS
    assert type(video["frames"]) is type(video["longest_gap_ms"]) is int
    assert _is_number(video["fps"])


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
