"""How an answer leaves the SCIM face: bytes, media type, headers. Knows no rule and no database."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django_scim.constants import SCIM_CONTENT_TYPE
from django_scim.settings import scim_settings
from scim2_models.exceptions import SCIMException

from scim.calls import Answer
from scim.errors import MethodNotAllowedException, body_of
from scim.mapping import etag
from scim.schemas import JSON

LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
RETRY_AFTER_SECONDS = 5


@lru_cache(maxsize=8)
def _root(public_url: str) -> str:
    return public_url + reverse("scim:root").rstrip("/")


def base() -> str:
    """The URL of the SCIM root as clients reach it, without a slash at its end."""
    return _root(settings.HUB_PUBLIC_URL)


def answer(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), status=status, content_type=SCIM_CONTENT_TYPE)
    # People's data: kept by no shared cache, and asked for again (with its ETag) by any other.
    response["Cache-Control"] = "private, no-cache"
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def of(answer_: Answer) -> HttpResponse:
    """An answer as HTTP. RFC 7644 shows ETag and Location with every resource (3.3, 3.4.1, 3.5.1)."""
    headers = {}
    if answer_.version is not None:
        headers["ETag"] = etag(answer_.version)
    if answer_.body is None:
        response = HttpResponse(status=answer_.status, headers=headers)
        del response["Content-Type"]
        return response
    if answer_.location:
        headers["Location"] = answer_.location
    return answer(answer_.body, answer_.status, headers)


def whole_list(resources: Sequence[JSON]) -> JSON:
    """RFC 7644 3.4.2: a ListResponse that is one page."""
    return {
        "schemas": [LIST_URN],
        "totalResults": len(resources),
        "startIndex": 1,
        "itemsPerPage": len(resources),
        "Resources": resources,
    }


def error(refused: SCIMException, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A SCIM Error. RFC 6750 3: a 401 names the scheme; RFC 9110 10.2.3: a 503 says when to come back.

    A refusal may bring headers of its own: what scope it needs, when to come back.
    """
    own = {**getattr(refused, "headers", {}), **(headers or {})}
    response = answer(body_of(refused.status, refused.detail, refused.scim_type), refused.status, own)
    if refused.status == 401:
        response["WWW-Authenticate"] = scim_settings.WWW_AUTHENTICATE_HEADER
    if isinstance(refused, MethodNotAllowedException):
        response["Allow"] = ", ".join(refused.allowed)
    if refused.status == 503 and "Retry-After" not in own:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
