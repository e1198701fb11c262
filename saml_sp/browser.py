"""Which browser started a login, where it may be sent afterwards, and how it signed in last. Knows no person."""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme

from identity_hub.core.ids import as_uuid

COOKIE = "hub_login"
_LIFE = timedelta(days=1)
DEFAULT_PATH = "/me/"

CHOICE = "hub_choice"
_CHOICE_LIFE = 180 * 24 * 3600
_CHOICE_PATH = "/login/"


def binding_of(request: HttpRequest) -> str:
    """The browser's binding value, or "" where it has none of ours."""
    value = request.COOKIES.get(COOKIE, "")
    return value if len(value) == 43 else ""


def new_binding() -> str:
    return secrets.token_urlsafe(32)


def digest(binding: str) -> bytes:
    return hashlib.sha256(binding.encode()).digest()


def remember(response: HttpResponse, binding: str) -> None:
    mark(response, COOKIE, binding, _LIFE)


def mark(response: HttpResponse, name: str, value: str, life: timedelta) -> None:
    """Sets a cookie for the protocol. The IdP answers by a cross-site POST, to which a Lax one would not be added."""
    secure = settings.HUB_PUBLIC_URL.startswith("https://")
    response.set_cookie(
        name,
        value,
        max_age=life,
        path="/saml/",
        httponly=True,
        secure=secure,
        # Browsers take SameSite=None with Secure only; on plain http the hub and a local IdP share a site.
        samesite="None" if secure else "Lax",
    )


def choice_of(request: HttpRequest) -> UUID | None:
    """The connection that this browser says it signed in through last. Anybody can write that: it is looked up anew."""
    return as_uuid(request.COOKIES.get(CHOICE, ""))


def remember_choice(response: HttpResponse, connection_id: UUID) -> None:
    """For a login that succeeded, and for nothing less.

    Attack: were it kept when a connection is only asked for, a link or an image on any page could make the sign-in
    page offer the attacker's. It needs no signature: who can set a cookie can also set one that was signed for him.
    """
    response.set_cookie(
        CHOICE,
        str(connection_id),
        max_age=_CHOICE_LIFE,
        path=_CHOICE_PATH,
        httponly=True,
        secure=settings.HUB_PUBLIC_URL.startswith("https://"),
        samesite="Lax",
    )


def forget_choice(response: HttpResponse) -> None:
    response.delete_cookie(CHOICE, path=_CHOICE_PATH, samesite="Lax")


def own_path(wanted: str | None) -> str:
    """An address of ours without host; the start page for everything else."""
    # Attack: an open redirect through next or RelayState ("//evil", "/\\evil", "https:evil", control characters).
    if (
        wanted
        and len(wanted) <= 2000
        and wanted.startswith("/")
        and wanted.isprintable()
        and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    ):
        return wanted
    return DEFAULT_PATH
