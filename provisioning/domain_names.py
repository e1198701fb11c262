"""Which names can be an organisation's e-mail domain. Knows no tenant, and asks nobody."""

import re

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# The last label is no number: 192.0.2.1 is an address.
_DOMAIN = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)+(?![0-9]+$){_LABEL}")

SHARED = frozenset(
    {
        "126.com",
        "163.com",
        "aol.com",
        "bluewin.ch",
        "btinternet.com",
        "comcast.net",
        "duck.com",
        "fastmail.com",
        "free.fr",
        "freenet.de",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "hotmail.co.uk",
        "hotmail.com",
        "hotmail.de",
        "hotmail.fr",
        "icloud.com",
        "laposte.net",
        "libero.it",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "mailbox.org",
        "me.com",
        "msn.com",
        "naver.com",
        "orange.fr",
        "outlook.com",
        "outlook.de",
        "pm.me",
        "posteo.de",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rocketmail.com",
        "seznam.cz",
        "t-online.de",
        "tutanota.com",
        "verizon.net",
        "web.de",
        "wp.pl",
        "yahoo.co.jp",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.de",
        "yahoo.fr",
        "yandex.com",
        "yandex.ru",
        "ymail.com",
        "zoho.com",
    }
)
"""Domains in which anybody may have an address; the best known, not all. Whoever owns one of them asks a superuser."""


def plain(name: str) -> str:
    """As it is kept: lower case, without the dot that a zone file ends it with."""
    return name.strip().lower().rstrip(".")


def is_domain(name: str) -> bool:
    """Whether a plain name is a whole domain: two labels or more, and no wildcard."""
    return _DOMAIN.fullmatch(name) is not None


def is_shared(name: str) -> bool:
    return name in SHARED
