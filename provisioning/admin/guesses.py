"""How often a password may be tried at the administrators' sign-in, and which browsers are known there.

Knows no password and no person: a name is a number here, whether anybody has it or not. docs/decisions/0023 says why
the rule is as it is.
"""

import secrets
from datetime import timedelta

import structlog
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from prometheus_client import Counter

from identity_hub.core.allowance import Allowance
from identity_hub.core.client_address import address_of, network_of

WINDOW = 15 * 60
"""Seconds, of the clock. So long at most somebody waits after the guessing has stopped."""
OF_ADDRESS = OF_BROWSER = 10
OF_NAME = 30
"""From browsers that are not known with the name: what three addresses have together, so that none alone uses it up."""

COOKIE = "hub_admin"
_LIFE = timedelta(days=180)
_SALT = "provisioning.admin.guesses"

_browsers = Allowance("admin-browser", seconds=WINDOW)
_addresses = Allowance("admin-address", seconds=WINDOW)
_names = Allowance("admin-name", seconds=WINDOW)
_refused = Counter(
    "hub_admin_sign_ins_refused_total",
    "Tries at the administrators' sign-in that were refused unread, by what had been tried too often.",
    ["limit"],
)
_log = structlog.get_logger("provisioning.admin.sign_in")


def refused(request: HttpRequest, name: str) -> int:
    """Takes a try of this name. The seconds until there is one again; 0 where there was.

    Asked before a password is hashed: hashing is what a guess costs us.
    """
    name = name.strip()
    if known := _known(request, name):
        return _told(request, "browser", _browsers.take(known, OF_BROWSER))
    # The address first: what it has no try for takes none from the name.
    if seconds := _addresses.take(address_of(request), OF_ADDRESS):
        return _told(request, "address", seconds)
    return _told(request, "name", _names.take(_place(name), OF_NAME))


def failed(request: HttpRequest) -> None:
    _log.info("admin-sign-in:failed", network=network_of(request))


def remember(response: HttpResponse, name: str) -> None:
    """From now on this browser is known with this name: it has just signed in."""
    response.set_cookie(
        COOKIE,
        signing.dumps([_digest(name.strip()), secrets.token_urlsafe(12)], salt=_SALT),
        max_age=_LIFE,
        path="/admin/login/",
        httponly=True,
        secure=settings.HUB_PUBLIC_URL.startswith("https://"),
        samesite="Lax",
    )


def _known(request: HttpRequest, name: str) -> str:
    """The browser's own mark where it has signed in with this very name, else ""."""
    try:
        digest, mark = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=_LIFE)
    except (signing.BadSignature, ValueError):
        return ""
    return mark if digest == _digest(name) else ""


def _digest(name: str) -> str:
    return salted_hmac(_SALT, name, algorithm="sha256").hexdigest()


def _place(name: str) -> str:
    # Attack: millions of made-up names would fill the memory that counts them. So names share 65,536 places, and
    # without the key nobody can tell which names share one.
    return _digest(name)[:4]


def _told(request: HttpRequest, limit: str, seconds: int) -> int:
    if seconds:
        _refused.labels(limit).inc()
        _log.warning("admin-sign-in:too-many", limit=limit, network=network_of(request), seconds=seconds)
    return seconds
