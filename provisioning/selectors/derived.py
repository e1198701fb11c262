"""What stored rows follow from, where only code says how. Knows the columns of a law's query, and no table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from provisioning.decision.authority import overridden, profile_of_resource, shown_profile
from provisioning.decision.keys import fold, other_skeleton
from provisioning.decision.types import PROFILE_FIELDS, AccountFacts, Origin, OverrideFacts
from provisioning.fingerprints import fingerprint
from provisioning.models import Identity

_PERSONAL = frozenset(("locale", "time_zone"))
_COMPARED = tuple(
    (name, Identity._meta.get_field(name).max_length) for name in PROFILE_FIELDS if name not in _PERSONAL
)


def is_found_otherwise(
    user_name: str,
    user_name_key: str,
    skeleton: str,
    email_keys: Sequence[str],
    external_id: str | None,
    active: bool,
    kept: bytes | None,
    resource: str,
) -> bool:
    """Whether an account's keys, or what rosters compare, do not follow from what it says."""
    if user_name_key != fold(user_name) or skeleton != other_skeleton(user_name):
        return True
    said = orjson.loads(resource)
    emails = {
        fold(one["value"])
        for one in said.get("emails") or ()
        if isinstance(one, dict) and isinstance(one.get("value"), str) and one["value"]
    }
    # A source may name further ones beside its document. Without a fingerprint one is worked out when it is needed.
    if not emails <= {*email_keys}:
        return True
    return kept is not None and bytes(kept) != fingerprint(
        external_id=external_id, user_name=user_name, active=active, profile=profile_of_resource(said)
    )


def is_shown_otherwise(*columns: Any) -> bool:
    """Whether an identity shows what neither its accounts nor its overrides say, or is found by another name.

    The columns: what it shows, by PROFILE_FIELDS; its two keys; its live accounts and overrides, as JSON.
    """
    *shown, user_name_key, email_key, accounts, overrides = columns
    said = shown_profile(map(_account, orjson.loads(accounts)))
    profile = overridden(said, [_override(*one) for one in orjson.loads(overrides or "[]")])
    is_shown = dict(zip(PROFILE_FIELDS, shown, strict=True))
    longest = dict(_COMPARED)["email"]
    return (
        any(is_shown[name] != getattr(profile, name)[:limit] for name, limit in _COMPARED)
        or user_name_key != fold(is_shown["user_name"])
        or email_key != fold(said.email[:longest])
    )


def _account(row: Sequence[Any]) -> AccountFacts:
    """As far as what it shows is concerned."""
    key, connection_id, confirmed, active, user_name, precedence, created_at, resource, assertion = row
    return AccountFacts(
        id=UUID(key),
        connection_id=UUID(connection_id),
        identity_id=None,
        origin=Origin.SCIM,
        confirmed=confirmed,
        active=active,
        version=0,
        user_name=user_name,
        external_id=None,
        asserted_key=None,
        subject=None,
        emails=(),
        resource=resource,
        assertion=assertion,
        precedence=precedence,
        created_at=datetime.fromisoformat(created_at),
        last_login_at=None,
    )


def _override(key: str, attribute: str, value: str) -> OverrideFacts:
    return OverrideFacts(id=UUID(key), attribute=attribute, value=value, instead_of="")
