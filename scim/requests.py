"""What a request asks for: its body, its page, its conditions. Knows no resource and no database."""

from dataclasses import dataclass
from typing import Any

import orjson
from django.http import HttpRequest
from django.http.request import RequestDataTooBig, UnreadablePostError
from scim2_models.exceptions import InvalidSyntaxException, InvalidValueException, PayloadTooLargeException

from scim.errors import UnsupportedMediaTypeException

MAX_BODY = 1024 * 1024
MAX_COUNT = 500
DEFAULT_COUNT = 100
# An offset is a bigint in PostgreSQL; no table comes near.
_LAST_INDEX = 2**53
_MEDIA_TYPES = ("application/scim+json", "application/json", "")


def body_of(request: HttpRequest) -> Any:
    """The JSON of the body. 413, 415 or 400 invalidSyntax where it is none."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
        raise PayloadTooLargeException(detail=f"The body is larger than {MAX_BODY} bytes.")
    # Nothing was sent with a media type of its own accord by clients that send no body.
    if request.content_type not in _MEDIA_TYPES:
        raise UnsupportedMediaTypeException
    try:
        # RFC 8259 8.1: a parser "MAY ignore the presence of a byte order mark"; .NET clients send one.
        return orjson.loads(request.body.removeprefix(b"\xef\xbb\xbf"))
    except RequestDataTooBig as error:
        raise PayloadTooLargeException(detail=f"The body is larger than {MAX_BODY} bytes.") from error
    except UnreadablePostError as error:
        raise InvalidSyntaxException(detail="The body ended too early.") from error
    except orjson.JSONDecodeError as error:
        # The decoder's own text quotes the body, which may hold a password.
        raise InvalidSyntaxException(detail="The body is not JSON in UTF-8.") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`start` is 1-based (RFC 7644 3.4.2.4); `count` is at most MAX_COUNT."""

    start: int
    count: int


def page_of(request: HttpRequest) -> Page:
    """RFC 7644 3.4.2.4: a startIndex "less than 1 SHALL be interpreted as 1", a negative count as 0."""
    start = _number(request, "startIndex", 1)
    count = _number(request, "count", DEFAULT_COUNT)
    return Page(start=min(max(start, 1), _LAST_INDEX), count=min(max(count, 0), MAX_COUNT))


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = parameter(request, name)
    if text is None:
        return default
    digits = text.strip().removeprefix("-").removeprefix("+")
    # Longer numbers are refused by int() itself, in time that grows with their square.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 1000):
        raise InvalidValueException(detail=f"{name}: this is not an integer.")
    return int(text)


def parameter(request: HttpRequest, name: str) -> str | None:
    """A query parameter, its name matched without case; None where it is absent or empty."""
    wanted = name.lower()
    return next((value for key, value in request.GET.items() if key.lower() == wanted and value), None)


def versions(request: HttpRequest, header: str) -> frozenset[str] | None:
    """The entity-tags of If-Match or If-None-Match, without the mark of weakness; None without the header.

    RFC 7644 3.14 uses weak tags throughout, so they are compared weakly (RFC 9110 8.8.3.2). `*` is itself.
    """
    text = request.headers.get(header)
    if text is None:
        return None
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in text.split(","))
