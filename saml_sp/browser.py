"""Which browser started a login, and where it may be sent afterwards. Knows no person and no connection."""

import hashlib
import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme

COOKIE = "hub_login"
_LIFE = 24 * 3600
DEFAULT_PATH = "/me/"


def binding_of(request: HttpRequest) -> str:
    """The browser's binding value, or "" where it has none of ours."""
    value = request.COOKIES.get(COOKIE, "")
    return value if len(value) == 43 else ""


def new_binding() -> str:
    return secrets.token_urlsafe(32)


def digest(binding: str) -> bytes:
    return hashlib.sha256(binding.encode()).digest()


def remember(response: HttpResponse, binding: str) -> None:
    """Sets the cookie. The answer of the IdP is a cross-site POST, to which a Lax cookie would not be added."""
    secure = settings.HUB_PUBLIC_URL.startswith("https://")
    response.set_cookie(
        COOKIE,
        binding,
        max_age=_LIFE,
        path="/saml/",
        httponly=True,
        secure=secure,
        # Browsers take SameSite=None with Secure only; on plain http the hub and a local IdP share a site.
        samesite="None" if secure else "Lax",
    )


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
