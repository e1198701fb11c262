"""From an HTTP request to a call: its body, its parameters, its credential. Knows no resource and no database."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from gunicorn.http.errors import ParseException
from scim2_models.exceptions import (
    InvalidSyntaxException,
    InvalidValueException,
    PayloadTooLargeException,
    UnauthorizedException,
)

from identity_hub.core.client_address import address_of
from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning.selectors.tokens import digest
from scim.calls import Call, Credential, Versions
from scim.errors import UnsupportedMediaTypeException

MAX_BODY = 1024 * 1024
_MEDIA_TYPES = ("application/scim+json", "application/json", "")


def body_of(request: HttpRequest, limit: int = MAX_BODY) -> Any:
    """The JSON of the body. 413, 415 or 400 invalidSyntax where it is none."""
    too_large = PayloadTooLargeException(detail=f"The body is larger than {limit} bytes.")
    if int(request.META.get("CONTENT_LENGTH") or 0) > limit:
        raise too_large
    # Nothing was sent with a media type of its own accord by clients that send no body.
    if request.content_type not in _MEDIA_TYPES:
        raise UnsupportedMediaTypeException
    raw = octets_of(request, limit + 1)
    if len(raw) > limit:
        raise too_large
    try:
        # RFC 8259 8.1: a parser "MAY ignore the presence of a byte order mark"; .NET clients send one.
        return orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        # The decoder's own text quotes the body, which may hold a password.
        raise InvalidSyntaxException(detail="The body is not JSON in UTF-8.") from error


def octets_of(request: HttpRequest, most: int) -> bytes:
    """The beginning of the body, as a stream: `request.body` is bounded by what the smallest address takes.

    400 invalidSyntax where it is not sent as HTTP sends one.
    """
    if request.META.get("wsgi.input_terminated") and not request.META.get("CONTENT_LENGTH"):
        # RFC 9112 7.1: a chunked body ends by itself and says no length before, which Django takes for 0.
        try:
            chunked: bytes = request.META["wsgi.input"].read(most)
        except (ParseException, OSError) as error:
            raise InvalidSyntaxException(detail="The body is not sent as HTTP sends one.") from error
        return chunked
    try:
        return request.read(most)
    except UnreadablePostError as error:
        raise InvalidSyntaxException(detail="The body ended too early.") from error


def call_of(request: HttpRequest, endpoint: str, resource_id: str, limit: int = MAX_BODY) -> Call:
    """What a request asks, with the token that it brings; 401 without one. `limit` is for its body."""
    return Call(
        method=request.method or "",
        endpoint=endpoint,
        credential=credential_of(request),
        at=now(),
        request_id=current_request_id(),
        resource_id=resource_id,
        parameters=parameters_of(request),
        if_match=versions_of(request.META.get("HTTP_IF_MATCH")),
        if_none_match=versions_of(request.META.get("HTTP_IF_NONE_MATCH")),
        read_body=lambda: body_of(request, limit),
    )


def credential_of(request: HttpRequest) -> Credential:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    # RFC 9110 11.1: the name of the scheme is matched without case.
    if scheme.lower() == "bearer" and (token := token.strip()):
        return Credential(digest(token), partial(address_of, request))
    raise UnauthorizedException(detail="Send the bearer token of a connection.")


def parameters_of(request: HttpRequest) -> Mapping[str, str]:
    """By lower-case name; the first of a name that says something counts."""
    if not request.META.get("QUERY_STRING"):
        return {}
    found: dict[str, str] = {}
    try:
        asked = request.GET
    except TooManyFieldsSent as error:
        raise InvalidValueException(detail="The address has too many parameters.") from error
    for name, value in asked.items():
        # RFC 9865: an empty cursor asks for the first page.
        if value or name.lower() == "cursor":
            found.setdefault(name.lower(), value)
    return found


def versions_of(text: str | None) -> Versions | None:
    """The entity-tags of If-Match or If-None-Match, without the mark of weakness; None without the header.

    RFC 7644 3.14 uses weak tags throughout, so they are compared weakly (RFC 9110 8.8.3.2). `*` is itself.
    """
    if text is None:
        return None
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in text.split(","))
