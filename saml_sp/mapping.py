"""What an assertion says about a person, in the hub's words. Knows attribute names; no account and no policy.

Whether an e-mail's domain is granted to the connection is decided in the domain, together with everything else
that depends on whether the person is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provisioning.decision.types import TRANSIENT, Profile, Subject

from .assertion import Assertion, NameId
from .checks import one_email
from .refusal import Refusal, refuse

EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT = "http://schemas.microsoft.com/identity/claims/"

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
        f"{_CLAIMS}emailaddress",
        "http://schemas.xmlsoap.org/claims/emailaddress",
    ),
    "given_name": (
        "givenname",
        "given_name",
        "firstname",
        "first_name",
        "user.firstname",
        "urn:oid:2.5.4.42",
        f"{_CLAIMS}givenname",
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
        f"{_CLAIMS}surname",
    ),
    "display_name": (
        "displayname",
        "display_name",
        "urn:oid:2.16.840.1.113730.3.1.241",
        f"{_MICROSOFT}displayname",
        "cn",
        "urn:oid:2.5.4.3",
    ),
    "locale": ("preferredlanguage", "locale", "urn:oid:2.16.840.1.113730.3.1.39"),
    "time_zone": ("zoneinfo", "timezone", "time_zone"),
    "hr_number": ("employeenumber", "employeeid", "urn:oid:2.16.840.1.113730.3.1.3"),
    "department": ("department", "ou", "urn:oid:2.5.4.11"),
    "title": ("title", "jobtitle", "urn:oid:2.5.4.12"),
}
_LONGEST_NAME = 512
_LONGEST = dict.fromkeys(DEFAULT_NAMES, 256) | {"locale": 64, "time_zone": 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The connection's own words: which attributes of the assertion carry what."""

    attribute_map: Mapping[str, Sequence[str]]
    user_name_attribute: str
    external_id_attribute: str
    group_attribute: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The person of one assertion. `user_name` is the name for a new account, "" where nothing may serve as one.

    `groups` are all values of the group attribute, in no order that counts.
    """

    subject: Subject | None
    external_id: str | None
    user_name: str
    login_names: tuple[str, ...]
    emails: tuple[str, ...]
    profile: Profile
    groups: tuple[str, ...] = ()


def map_assertion(assertion: Assertion, rules: Rules) -> Person | Refusal:
    """The person whom a judged assertion describes; a refusal where it contradicts itself or is out of bounds."""
    said = _by_name(assertion)
    names = {field: tuple(rules.attribute_map.get(field) or DEFAULT_NAMES[field]) for field in DEFAULT_NAMES}
    emails = _emails(assertion.name_id, said, names["email"], mapped=bool(rules.attribute_map.get("email")))
    if refusal := one_email(emails):
        return refusal
    configured = _values(said, (rules.user_name_attribute,))
    keys = _values(said, (rules.external_id_attribute,))
    # Attack: a key with two values lets the IdP's user be two people; which one would depend on the reader.
    for what, values in (("user_name", configured), ("external_id", keys)):
        if len(set(values)) > 1:
            return refuse("saml:attribute-ambiguous", attribute=what, values=len(values))
    # Attack (pre-hijack): an e-mail attribute is often self-editable, so a stranger could name himself after the
    # person who will be hired. A name to log in by never comes from one, be it another than the connection shows.
    if _also_called(assertion, rules.user_name_attribute) & {
        *DEFAULT_NAMES["email"],
        *map(str.lower, names["email"]),
    }:
        configured = ()
    name_id = assertion.name_id
    lasting = name_id.value if name_id and name_id.format != TRANSIENT else ""
    login_names = (*configured[:1], *([lasting] if lasting and name_id and _is_name(name_id) else []))
    user_name = configured[0] if configured else lasting
    shown = {field: (_values(said, names[field]) or ("",))[0] for field in names if field != "email"}
    profile = Profile(user_name=user_name, email=emails[0] if emails else "", **shown)
    if refusal := _too_long(profile, (user_name, lasting, *keys, *login_names)):
        return refusal
    return Person(
        subject=Subject(issuer=assertion.issuer, format=name_id.format, value=name_id.value)
        if name_id
        else None,
        external_id=keys[0] if keys else None,
        user_name=user_name,
        login_names=tuple(dict.fromkeys(login_names)),
        emails=tuple(dict.fromkeys(email.lower() for email in emails)),
        profile=profile,
        groups=_values(said, (rules.group_attribute,)),
    )


def _by_name(assertion: Assertion) -> dict[str, tuple[str, ...]]:
    """Values by lower-case Name, and by FriendlyName where no attribute has it for a Name."""
    said: dict[str, tuple[str, ...]] = {}
    for attribute in assertion.attributes:
        name = attribute.name.lower()
        said[name] = (*said.get(name, ()), *attribute.values)
    named = set(said)
    for attribute in assertion.attributes:
        friendly = attribute.friendly_name.lower()
        if friendly and friendly not in named:
            said[friendly] = (*said.get(friendly, ()), *attribute.values)
    return said


def _also_called(assertion: Assertion, name: str) -> set[str]:
    """Every Name and FriendlyName, in lower case, of the attributes that this name means."""
    names = [{a.name.lower(), a.friendly_name.lower()} for a in assertion.attributes]
    return {name.lower()}.union(*(those for those in names if name.lower() in those))


def _values(said: Mapping[str, tuple[str, ...]], names: Sequence[str]) -> tuple[str, ...]:
    """The values of the first of these attributes that has any."""
    return next((said[name.lower()] for name in names if name and said.get(name.lower())), ())


def _emails(
    name_id: NameId | None, said: Mapping[str, tuple[str, ...]], names: Sequence[str], *, mapped: bool
) -> tuple[str, ...]:
    """Every e-mail address that the assertion claims.

    A NameID of the e-mail format is one of them, unless the connection says which attribute carries the e-mail
    (Entra's default NameID is a user principal name in that format, which need not be the mail address).
    """
    found = [value for name in names for value in said.get(name.lower(), ())]
    if name_id and name_id.format == EMAIL_FORMAT and not (mapped and found):
        found.append(name_id.value)
    return tuple(found)


def _is_name(name_id: NameId) -> bool:
    # A persistent NameID is a key and compared as one; every other lasting format is a name (user, e-mail, UPN).
    return not Subject(issuer="", format=name_id.format, value=name_id.value).is_key


def _too_long(profile: Profile, names: Sequence[str]) -> Refusal | None:
    values = [
        *((value, _LONGEST_NAME) for value in names),
        *((getattr(profile, field), limit) for field, limit in _LONGEST.items()),
    ]
    # Some letters grow when they are folded to lower case, which is what the index holds.
    lengths = ((max(len(value), len(value.lower())), limit) for value, limit in values)
    worst = next((length for length, limit in lengths if length > limit), None)
    return refuse("saml:attribute-too-long", length=worst) if worst else None
