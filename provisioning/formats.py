"""What a value of a named format looks like, and which values are no value at all. Knows no attribute.

Formats have names, and nobody enters a pattern of his own: a pattern can be made to take minutes.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from zoneinfo import available_timezones

from .decision.keys import INVISIBLE, TURNED_BY_LOWER, domain_of
from .decision.placeholders import NOTHING, is_zeros, says_nothing


class Format(StrEnum):
    TEXT = "text"
    NAME = "name"
    EMAIL = "e-mail"
    KEY = "key"
    UUID = "uuid"
    DIGITS = "digits"
    LETTERS_AND_DIGITS = "letters-and-digits"
    LOCALE = "locale"
    TIME_ZONE = "time-zone"


LABELS: Mapping[Format, str] = {
    Format.TEXT: "one line of text",
    Format.NAME: "a person's name",
    Format.EMAIL: "one e-mail address",
    Format.KEY: "a key",
    Format.UUID: "a UUID",
    Format.DIGITS: "only digits",
    Format.LETTERS_AND_DIGITS: "letters and digits",
    Format.LOCALE: "a language, like en-GB",
    Format.TIME_ZONE: "a time zone",
}

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
# RFC 5321 4.1.2, with the letters of RFC 6531; no quoted local part, which no directory issues.
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]{1,64}")
# RFC 5646 2.1, without the tags that were registered before it.
_LOCALE = re.compile(
    r"[a-z]{2,3}(-[a-z]{3}){0,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(-[0-9a-wy-z](-[a-z0-9]{2,8})+)*(-x(-[a-z0-9]{1,8})+)?",
    re.IGNORECASE,
)
# Control characters, ends of lines, private letters, the mark of damaged text; and (attack) the overrides that turn
# the letters of a name around, so that a person reads another one.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ue000-\uf8ff\ufffd\U000f0000-\U0010ffff]"
)
LAYOUT = " \t\r\n"
# Joiners are part of how Persian and the languages of India are written, and of nothing after a Latin letter.
_HIDDEN = re.compile(f"(?![\u200c\u200d]){INVISIBLE.pattern}|(?<![\u0600-\u0dff])[\u200c\u200d]")


def cleaned(value: str, format: Format) -> str | None:
    """The value as it is kept, or None where it is not of the format. Take no value that is longer than 512."""
    value = value.strip(LAYOUT)
    # Attack: two people of one IdP may differ by a blank of Unicode; taken off, the one would be the other.
    if value != value.strip() or _is_placeholder(value, format) or _UNPRINTABLE.search(value):
        return None
    if format in (Format.KEY, Format.EMAIL) and not _is_plain(value):
        return None
    match format:
        case Format.TEXT:
            fits = any(map(str.isalnum, value))
        case Format.NAME:
            fits = _is_name(value)
        case Format.EMAIL:
            fits = _is_email(value)
        case Format.KEY:
            fits = not is_zeros(value)
        case Format.UUID:
            fits = bool(_UUID.fullmatch(value)) and not is_zeros(value)
        case Format.DIGITS:
            fits = value.isascii() and value.isdigit()
        case Format.LETTERS_AND_DIGITS:
            fits = value.isascii() and value.isalnum()
        case Format.LOCALE:
            # Java and LDAP write de_DE.
            value = value.replace("_", "-")
            fits = bool(_LOCALE.fullmatch(value))
        case Format.TIME_ZONE:
            fits = value in _time_zones()
    return value if fits else None


def _is_plain(value: str) -> bool:
    """Whether nobody can take it for another key: no sign that becomes a letter, nothing that is not seen."""
    if value.isascii():
        return True
    hidden = _HIDDEN.search(value) is not None
    return not hidden and TURNED_BY_LOWER.isdisjoint(value)


def unprintable(value: str) -> bool:
    """Whether it holds what no reader sees as it is: control characters, turned letters, damaged text."""
    return _UNPRINTABLE.search(value) is not None


def _is_placeholder(value: str, format: Format) -> bool:
    # There are people whose name is Null.
    named = format is Format.NAME and value == "Null"
    return says_nothing(value) and not named


def _is_name(value: str) -> bool:
    if not any(map(str.isalpha, value)):
        return False
    return not any(mark in value for mark in ("@", "://", "<", ">")) and not value.lower().startswith("www.")


def _is_email(value: str) -> bool:
    local, _, _ = value.rpartition("@")
    domain = domain_of(value)
    dots_well = not local.startswith(".") and not local.endswith(".") and ".." not in local
    return (
        dots_well
        and bool(_LOCAL_PART.fullmatch(local))
        and local.lower() not in NOTHING
        and len(domain) <= 253
        and all(map(_is_label, domain.split(".")))
    )


def _is_label(label: str) -> bool:
    return (
        0 < len(label) <= 63 and label[0] != "-" != label[-1] and all(c.isalnum() or c == "-" for c in label)
    )


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
