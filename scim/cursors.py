"""Where a list continues (RFC 9865): a position in an order, sealed. Knows no filter, no order and no request.

A cursor is kept by the client and by nobody else. It cannot be read, made or changed without the server's key; it
holds for one connection, one resource type (or the list of all), one filter and one order; and it ends.
"""

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.utils.crypto import salted_hmac
from scim2_models.exceptions import ExpiredCursorException, InvalidCountException, InvalidCursorException

from scim.sorting import Position

LIFETIME = timedelta(hours=1)
"""From one page to the next; advertised as `cursorTimeout`."""

_NONCE = 12
# Of what sorting makes there is none longer.
_MAX_LENGTH = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a cursor belongs to. RFC 9865 2: "all query parameters and values being identical".

    `resource_type` is "" for the list over all types.
    """

    tenant_id: UUID
    connection_id: UUID
    resource_type: str
    count: int
    filter: str = ""
    sort_by: str = ""
    sort_order: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where a page begins: behind `after`, which was the last row of the one before.

    `total` is what the first page counted, so that the others need not.
    """

    after: Position
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where a page of the list over all types begins: in this type, at the type's own cursor; "" is its beginning."""

    resource_type: str
    cursor: str = ""


def sealed(page: Page, query: Query, at: datetime) -> str:
    """The `nextCursor` that leads to this page. Of RFC 3986's unreserved characters."""
    return _sealed([page.total, page.after.id, page.after.key], query, at)


def sealed_part(part: Part, query: Query, at: datetime) -> str:
    """As `sealed`, of the list over all types. The type's own cursor is bound to less: what is asked of it."""
    return _sealed([part.resource_type, part.cursor], query, at)


def opened(cursor: str, query: Query, at: datetime) -> Page | None:
    """The page that a cursor leads to; None for the empty one, which asks for the first.

    Raises InvalidCursor where it is not one of this query's, ExpiredCursor, or InvalidCount where another number
    of resources is asked for than at the beginning.
    """
    if not cursor:
        return None
    total, last, key = _opened(cursor, query, at)
    return Page(after=Position(id=UUID(last), key=key), total=total)


def opened_part(cursor: str, query: Query, at: datetime) -> Part | None:
    """As `opened`, of the list over all types."""
    if not cursor:
        return None
    resource_type, own = _opened(cursor, query, at)
    return Part(resource_type=resource_type, cursor=own)


def page_size(text: str | int | None, *, default: int, most: int) -> int:
    """The `count` of a query by cursor: capped at `most`, which RFC 9865 2 allows ("MAY return fewer results").

    "A negative value SHALL be interpreted as "0"." InvalidCount where it is no integer.
    """
    if text is None:
        return min(default, most)
    digits = str(text).removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidCountException(detail="count: this is not an integer.")
    # Longer numbers are read in time that grows with their square.
    return 0 if digits != str(text) else min(int(digits[:18]), most)


def _sealed(content: list[Any], query: Query, at: datetime) -> str:
    expires = int((at + LIFETIME).timestamp())
    nonce = os.urandom(_NONCE)
    said = orjson.dumps([expires, query.count, *content])
    cipher = _cipher(settings.SECRET_KEY).encrypt(nonce, said, _bound(query))
    return base64.urlsafe_b64encode(nonce + cipher).rstrip(b"=").decode()


def _opened(cursor: str, query: Query, at: datetime) -> list[Any]:
    try:
        raw = base64.b64decode(cursor[:_MAX_LENGTH] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        said = _cipher(settings.SECRET_KEY).decrypt(raw[:_NONCE], raw[_NONCE:], _bound(query))
    except (binascii.Error, ValueError, InvalidTag) as error:
        raise InvalidCursorException(
            detail="cursor: this is no cursor of this query. Begin with an empty one, and change nothing else."
        ) from error
    expires, count, *content = orjson.loads(said)
    if at.timestamp() >= expires:
        raise ExpiredCursorException(
            detail=f"cursor: it was not used for {int(LIFETIME.total_seconds())} seconds. Begin again."
        )
    if count != query.count:
        raise InvalidCountException(detail=f"count: this query began with {count}.")
    return list(content)


def _bound(query: Query) -> bytes:
    """What the seal covers and the cursor does not carry. The count has an error of its own."""
    said = [
        query.tenant_id,
        query.connection_id,
        query.resource_type,
        query.filter,
        query.sort_by.lower(),
        query.sort_order.lower(),
    ]
    return hashlib.sha256(orjson.dumps(said)).digest()


@lru_cache(maxsize=4)
def _cipher(secret: str) -> AESGCM:
    return AESGCM(salted_hmac("scim.cursors", b"", secret=secret, algorithm="sha256").digest())
