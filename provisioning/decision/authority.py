"""Which source an identity shows. Knows documents of accounts, and neither who asks nor when."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from operator import attrgetter
from typing import Any

from .placeholders import is_nobodys
from .types import PROFILE_FIELDS, AccountFacts, Document, OverrideFacts, Profile

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

OVERRIDABLE = ("display_name", "given_name", "family_name", "email", "title", "department")
"""What an administrator may override. userName and HR number are names that sources recognise somebody by, and are
shown as they say them; locale and time zone are the person's own."""

_PERSONAL = ("locale", "time_zone")
NOTHING_SAID = Profile()


def shown_profile(accounts: Iterable[AccountFacts], current: Profile | None = None) -> Profile:
    """What an identity shows of its live accounts, where nothing is overridden.

    What SCIM said wins, the lower precedence number first; assertions fill the blanks, and speak alone for an
    account that SCIM has not confirmed. Locale and time zone belong to the person: once set, they stay.
    """
    accounts = list(accounts)
    ranked = sorted(accounts, key=lambda a: (a.precedence, not a.confirmed, a.created_at, a.id))
    said_by_scim = [_named(profile_of_resource(a.resource), a) for a in ranked if a.confirmed]
    asserted = [
        profile_of_assertion(a.assertion) if a.confirmed else _named(profile_of_assertion(a.assertion), a)
        for a in ranked
    ]
    derived = [profile_of_resource(a.resource) for a in ranked if not a.confirmed]
    shown = first_said([*said_by_scim, *asserted, *derived])
    if current is None or all(getattr(current, name) in ("", getattr(shown, name)) for name in _PERSONAL):
        return shown
    return replace(shown, **{name: getattr(current, name) or getattr(shown, name) for name in _PERSONAL})


def overridden(said: Profile, overrides: Collection[OverrideFacts]) -> Profile:
    """What an identity shows of what its sources say: an administrator's word goes first, until its end."""
    live = {one.attribute: one.value for one in overrides if not one.over}
    return replace(said, **live) if live else said


def shown_alone(account: AccountFacts, profile: Profile) -> Profile:
    """What `shown_profile` says of whom nobody has spoken of but SCIM, once: `profile` is that of the resource."""
    return _named(profile, account)


def profile_of_resource(resource: Document) -> Profile:
    """What a canonical SCIM User says of a person."""
    # A run asks this several times of everybody: what is not said costs no call.
    said = resource.get
    name, enterprise = said("name"), said(ENTERPRISE_USER)
    given = family = display = number = department = ""
    if isinstance(name, dict):
        given, family = _text(name.get("givenName")), _text(name.get("familyName"))
        display = _text(name.get("formatted"))
    if isinstance(enterprise, dict):
        number, department = _text(enterprise.get("employeeNumber")), _text(enterprise.get("department"))
        if number and is_nobodys(number):
            number = ""
    return Profile(
        user_name=_text(said("userName")),
        email=_best_email(said("emails")),
        given_name=given,
        family_name=family,
        display_name=_text(said("displayName")) or display,
        locale=_text(said("locale")) if "locale" in resource else "",
        time_zone=_text(said("timezone")) if "timezone" in resource else "",
        hr_number=number,
        department=department,
        title=_text(said("title")) if "title" in resource else "",
    )


def profile_of_assertion(assertion: Document) -> Profile:
    """What mapped assertion attributes say; their canonical keys are the names of the profile's fields."""
    if not assertion:
        return NOTHING_SAID
    return Profile(**{name: _text(assertion.get(name)) for name in PROFILE_FIELDS})


_shown = attrgetter(*PROFILE_FIELDS)


def assertion_of_profile(profile: Profile) -> dict[str, str]:
    """What it says, by field: the mapped attributes of a login that brought no document of its own."""
    return {name: value for name, value in zip(PROFILE_FIELDS, _shown(profile), strict=True) if value}


def resource_of_profile(profile: Profile) -> dict[str, Any]:
    """The SCIM User of an account that only a login made, so that its IdP's look-up sees it.

    It has no externalId: only SCIM can name that, and an invented one would collide with the real one.
    """
    resource: dict[str, Any] = {"schemas": [CORE_USER], "userName": profile.user_name, "active": True}
    name = {"givenName": profile.given_name, "familyName": profile.family_name}
    if given := {key: value for key, value in name.items() if value}:
        resource["name"] = given
    if profile.email:
        resource["emails"] = [{"value": profile.email, "type": "work", "primary": True}]
    for key, value in (
        ("displayName", profile.display_name),
        ("title", profile.title),
        ("locale", profile.locale),
        ("timezone", profile.time_zone),
    ):
        if value:
            resource[key] = value
    enterprise = {"employeeNumber": profile.hr_number, "department": profile.department}
    if extension := {key: value for key, value in enterprise.items() if value}:
        resource["schemas"] = [CORE_USER, ENTERPRISE_USER]
        resource[ENTERPRISE_USER] = extension
    return resource


_PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    "given_name": (("name", "givenName"),),
    "family_name": (("name", "familyName"),),
    "display_name": (("displayName",), ("name", "formatted")),
    "locale": (("locale",),),
    "time_zone": (("timezone",),),
    "hr_number": ((ENTERPRISE_USER, "employeeNumber"),),
    "department": ((ENTERPRISE_USER, "department"),),
    "title": (("title",),),
}
"""Where a canonical SCIM User says a field: the first place is written, and all are emptied."""


def overlaid(resource: Document, row: Document, profile: Profile, says: Collection[str]) -> dict[str, Any]:
    """The resource with what a roster's row says of these fields of a profile, and everything else as it was.

    A field that the roster says and the row leaves blank is taken away. `row` is the row's own document.
    """
    before = profile_of_resource(resource)
    after = dict(resource)
    if profile.user_name and "user_name" in says:
        after["userName"] = profile.user_name
    if "email" in says and profile.email != before.email:
        # One that is listed already among several stays one of several; a new one replaces them.
        after.pop("emails", None)
        if emails := row.get("emails"):
            after["emails"] = emails
    for name, places in _PLACES.items():
        if name in says and getattr(profile, name) != getattr(before, name):
            value = getattr(profile, name)
            for place in places[:1] if value else places:
                _put(after, place, value)
    return after


def _put(resource: dict[str, Any], place: tuple[str, ...], value: str) -> None:
    """Sets or, where there is no value, removes what stands in a place, in copies of what holds it."""
    *outer, name = place
    holder = dict(_object(resource.get(outer[0]))) if outer else resource
    holder.pop(name, None)
    if value:
        holder[name] = value
    if not outer:
        return
    resource.pop(outer[0], None)
    if holder:
        resource[outer[0]] = holder
    if outer[0] == ENTERPRISE_USER:
        others = [schema for schema in resource.get("schemas") or [CORE_USER] if schema != ENTERPRISE_USER]
        resource["schemas"] = [*others, ENTERPRISE_USER] if holder else others


def first_said(profiles: Iterable[Profile]) -> Profile:
    """Field by field, the first profile that says anything."""
    said: dict[str, str] = {}
    for profile in profiles:
        if profile is NOTHING_SAID:
            continue
        for name in PROFILE_FIELDS:
            if value := getattr(profile, name):
                said.setdefault(name, value)
    return Profile(**said)


def _named(profile: Profile, account: AccountFacts) -> Profile:
    named = profile.user_name == account.user_name
    return profile if named else replace(profile, user_name=account.user_name)


def _best_email(emails: object) -> str:
    """The primary one, else one of type work, else the first."""
    if not emails:
        return ""
    entries = emails if isinstance(emails, list | tuple) else ()
    if len(entries) == 1 and isinstance(entries[0], dict):
        return _text(entries[0].get("value"))
    named = [entry for entry in entries if isinstance(entry, dict) and _text(entry.get("value"))]
    if len(named) > 1:
        named.sort(key=lambda entry: (entry.get("primary") is not True, entry.get("type") != "work"))
    return _text(named[0]["value"]) if named else ""


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
