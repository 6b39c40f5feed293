"""Version 7 UUIDs: in the order of time, and random beyond the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import uuid7

# RFC 9562, appendix A.6: 2022-02-22T19:22:22.00Z, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
MOMENT = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
ENTROPY = (0xCC3 << 64 | 0x18C4DC0C0C07398F).to_bytes(10, "big")


def test_the_example_of_the_rfc() -> None:
    assert uuid7(MOMENT, ENTROPY) == UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2500, 1, 1)), st.binary(min_size=10, max_size=10))  # noqa: DTZ001
def test_every_one_is_of_version_seven_and_tells_its_millisecond(naive: datetime, entropy: bytes) -> None:
    moment = naive.replace(tzinfo=UTC)

    made = uuid7(moment, entropy)

    assert (made.version, made.variant) == (7, RFC_4122)
    told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=made.int >> 80)
    assert abs(moment - told) <= timedelta(milliseconds=1)


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_a_later_millisecond_sorts_later_whatever_the_noise(one: bytes, other: bytes) -> None:
    assert uuid7(MOMENT, one) < uuid7(MOMENT + timedelta(milliseconds=1), other)


def test_every_bit_of_the_noise_that_has_room_counts() -> None:
    made = {uuid7(MOMENT, (1 << bit).to_bytes(10, "big")) for bit in range(76)}

    # 12 bits of rand_a and 62 of rand_b; two bits of the 76 make room for the variant.
    assert len(made) == 12 + 62 + 1


@pytest.mark.parametrize("size", [0, 9, 11])
def test_another_amount_of_noise_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="ten bytes"):
        uuid7(MOMENT, bytes(size))
