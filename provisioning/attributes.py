"""What the hub's attributes are called in assertions, and what a connection may ask of each.

Knows no assertion and no connection.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .decision.keys import fold
from .decision.types import PROFILE_FIELDS
from .formats import Format

CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
MICROSOFT = "http://schemas.microsoft.com/identity/claims/"

# The names that IdPs send by default: LDAP names by OID (Shibboleth, SimpleSAMLphp), WS-Federation claims (Entra,
# ADFS), and the plain names of Okta, Google, Keycloak, OneLogin and Ping. Compared in lower case.
DEFAULT_NAMES: Mapping[str, tuple[str, ...]] = {
    "email": (
        "email",
        "emailaddress",
        "email_address",
        "user.email",
        "mail",
        "urn:oid:0.9.2342.19200300.100.1.3",
        "urn:oid:1.2.840.113549.1.9.1",
        f"{CLAIMS}emailaddress",
        "http://schemas.xmlsoap.org/claims/emailaddress",
    ),
    "given_name": (
        "givenname",
        "given_name",
        "firstname",
        "first_name",
        "user.firstname",
        "urn:oid:2.5.4.42",
        f"{CLAIMS}givenname",
    ),
    "family_name": (
        "sn",
        "surname",
        "familyname",
        "family_name",
        "lastname",
        "last_name",
        "user.lastname",
        "urn:oid:2.5.4.4",
        f"{CLAIMS}surname",
    ),
    "display_name": (
        "displayname",
        "display_name",
        "urn:oid:2.16.840.1.113730.3.1.241",
        f"{MICROSOFT}displayname",
        "cn",
        "urn:oid:2.5.4.3",
    ),
    "locale": ("preferredlanguage", "locale", "urn:oid:2.16.840.1.113730.3.1.39"),
    "time_zone": ("zoneinfo", "timezone", "time_zone"),
    "hr_number": ("employeenumber", "employeeid", "urn:oid:2.16.840.1.113730.3.1.3"),
    "department": ("department", "ou", "urn:oid:2.5.4.11"),
    "title": ("title", "jobtitle", "urn:oid:2.5.4.12"),
}
LABELS: Mapping[str, str] = {
    "name_id": "NameID",
    "user_name": "userName",
    "external_id": "externalId",
    "email": "e-mail",
    "given_name": "given name",
    "family_name": "family name",
    "display_name": "display name",
    "locale": "language",
    "time_zone": "time zone",
    "hr_number": "HR number",
    "department": "department",
    "title": "title",
}
RULED = (*PROFILE_FIELDS, "external_id")
"""What a connection may ask a format of, or limit to some values."""

_LONGEST_NAME = 512
_FORMATS: Mapping[str, Format] = {
    "user_name": Format.KEY,
    "external_id": Format.KEY,
    "hr_number": Format.KEY,
    "email": Format.EMAIL,
    "given_name": Format.NAME,
    "family_name": Format.NAME,
    "display_name": Format.NAME,
    "locale": Format.LOCALE,
    "time_zone": Format.TIME_ZONE,
    "department": Format.TEXT,
    "title": Format.TEXT,
}
_LONGEST: Mapping[str, int] = {
    **dict.fromkeys(_FORMATS, 256),
    **dict.fromkeys(("user_name", "external_id"), _LONGEST_NAME),
    **dict.fromkeys(("locale", "time_zone"), 64),
}
# The end of a name like workMail, primaryEmail, otherMails or .../email_address; not of mailNickname.
_EMAIL_NAME = re.compile(r"mail([-_]?address)?(s|es)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a value has to be like. `allowed` is compared without case; none means any."""

    format: Format
    longest: int
    allowed: frozenset[str] = frozenset()


def format_of(attribute: str) -> Format:
    """What the hub asks for where a connection says nothing."""
    return _FORMATS[attribute]


def longest_of(attribute: str) -> int:
    """How many characters of it there is room for."""
    return _LONGEST[attribute]


def rule_of(attribute: str, attribute_rules: Mapping[str, Any]) -> Rule:
    """The rule for a hub attribute; what the connection does not say is the hub's own."""
    said = attribute_rules.get(attribute)
    if not said:
        return _USUAL[attribute]
    return Rule(
        format=Format(said.get("format") or _FORMATS[attribute]),
        longest=_LONGEST[attribute],
        allowed=frozenset(map(fold, said.get("allowed") or ())),
    )


_USUAL = {
    attribute: Rule(format=format, longest=_LONGEST[attribute]) for attribute, format in _FORMATS.items()
}


def names_of(attribute: str, attribute_map: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Which assertion attributes carry it, in order. A connection that names none for it does not read it."""
    return tuple(attribute_map.get(attribute, DEFAULT_NAMES[attribute]))


def names_an_email(name: str, attribute_map: Mapping[str, Sequence[str]]) -> bool:
    """Whether an assertion attribute of this name carries an e-mail address.

    An e-mail is often self-editable, so it can be neither a key nor a name to sign in by.
    """
    folded = fold(name.strip())
    mapped = {fold(source) for source in attribute_map.get("email", ())}
    if folded in mapped or folded in DEFAULT_NAMES["email"]:
        return True
    return _EMAIL_NAME.search(folded) is not None


class Wrong(ValueError):
    """What a map or a rule says cannot be; the message names the attribute and what would be right."""


def checked_map(value: Any) -> dict[str, list[str]]:
    """Hub attribute -> assertion attribute names. Raises Wrong."""
    if not isinstance(value, Mapping):
        raise Wrong('Please write an object, for instance {"email": ["mail"]}.')
    for attribute, names in value.items():
        if attribute not in DEFAULT_NAMES:
            raise Wrong(f"The hub reads no attribute {attribute!r}; it knows {', '.join(DEFAULT_NAMES)}.")
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) and n.strip() for n in names):
            raise Wrong(f"{attribute!r} needs a list of attribute names.")
        if len(names) > 20 or any(len(name) > 256 for name in names):
            raise Wrong(f"{attribute!r} takes 20 names of 256 characters at most.")
    return {attribute: [name.strip() for name in names] for attribute, names in value.items()}


def checked_rules(value: Any) -> dict[str, dict[str, Any]]:
    """Hub attribute -> {"format": name of a format, "allowed": [values]}. Raises Wrong."""
    if not isinstance(value, Mapping):
        raise Wrong('Please write an object, for instance {"hr_number": {"format": "digits"}}.')
    return {attribute: _checked_rule(attribute, said) for attribute, said in value.items() if said}


def _checked_rule(attribute: str, said: Any) -> dict[str, Any]:
    if attribute not in RULED:
        raise Wrong(f"The hub has no attribute {attribute!r}; it knows {', '.join(RULED)}.")
    if not isinstance(said, Mapping) or set(said) - {"format", "allowed"}:
        raise Wrong(f'{attribute!r} needs an object with "format", "allowed" or both.')
    rule: dict[str, Any] = {}
    if said.get("format"):
        if said["format"] not in list(Format):
            raise Wrong(f"{attribute!r}: there is no format {said['format']!r}, only {', '.join(Format)}.")
        rule["format"] = str(said["format"])
    if "allowed" in said:
        allowed = said["allowed"]
        if not isinstance(allowed, list | tuple) or not all(
            isinstance(v, str) and v.strip() for v in allowed
        ):
            raise Wrong(f"{attribute!r}: the allowed values are a list of texts.")
        if len(allowed) > 200 or any(len(value) > 256 for value in allowed):
            raise Wrong(f"{attribute!r} takes 200 allowed values of 256 characters at most.")
        if allowed:
            rule["allowed"] = [value.strip() for value in allowed]
    return rule
