"""How a row is named, and what can be such a name. Knows nothing of what the row is."""

import secrets
import uuid
from datetime import datetime

from identity_hub.core import clock


def as_uuid(text: str) -> uuid.UUID | None:
    """What somebody typed or sent as an id; None where it is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def new_id() -> uuid.UUID:
    """A time-ordered UUID, version 7 (RFC 9562 5.7): new rows land on the last page of an index.

    The 12 bits after the milliseconds carry their fraction (RFC 9562 6.2, method 3), the other 62 are random.
    """
    return uuid.UUID(int=_moment() | secrets.randbits(62))


def new_ids(number: int) -> list[uuid.UUID]:
    """As many at once (up to a million), in their order, for a fraction of the cost.

    Of the 62 bits the first 20 count (RFC 9562 6.2, method 1), the other 42 are random.
    """
    moment, chance = _moment(), secrets.token_bytes(6 * number)
    return [
        uuid.UUID(int=moment | count << 42 | int.from_bytes(chance[6 * count : 6 * count + 6], "big") >> 6)
        for count in range(number)
    ]


def first_id(moment: datetime) -> uuid.UUID:
    """No id of `new_id` from that moment on is smaller: what came since is a range of the primary key."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def _moment() -> int:
    moment = clock.now()
    milliseconds = int(moment.timestamp()) * 1000 + moment.microsecond // 1000
    fraction = moment.microsecond % 1000 * 4096 // 1000
    return milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62
