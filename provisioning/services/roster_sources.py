"""Writes of where the hub lists a connection's people. The credential comes in here, and goes out to a listing only."""

from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.core.exceptions import ValidationError
from django.db import transaction

from identity_hub.core import outbound
from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from identity_hub.core.sealing import Unopenable, seal, unseal
from identity_hub.core.text import all_keepable
from provisioning import audit
from provisioning.decision.reasons import Act, Flaw
from provisioning.decision.types import Actor
from provisioning.models import Connection, RosterSource
from provisioning.roster import Unreadable
from provisioning.roster.mapping import Wrong, checked
from provisioning.sources import Listing
from provisioning.sources.credentials import key_file
from provisioning.sources.kinds import KINDS, Kind, MakeWire, Settings
from provisioning.sources.wire import Wire

from .invalid import Invalid, needed_reason

FIELDS = (
    "kind",
    "base_address",
    "token_address",
    "client_id",
    "subject",
    "chosen",
    "mapping",
    "scheduled",
)
WHERE_IT_GOES = frozenset({"kind", "base_address", "token_address", "client_id"})
"""What says to whom the credential is shown. With another answer it has to be entered again: else whoever may change
the address, and not see the credential, would have it sent to a server of his own."""
LONGEST_SECRET = 16_384

_ASKED = {
    "token_address": "Please give the address where the token is obtained.",
    "client_id": "Please give the application's client ID.",
    "subject": "Please give the e-mail address of an administrator for whom the service account speaks.",
}


def keep_source(
    *,
    connection: Connection,
    actor: Actor,
    fields: Mapping[str, Any],
    reason: str,
    secret: str = "",
) -> RosterSource:
    """Sets the connection's source, or changes the fields that are given. An empty `secret` leaves the one there is.

    Raises Invalid.
    """
    reason = needed_reason(reason)
    if strange := sorted(set(fields) - set(FIELDS)):
        raise Invalid(strange[0], f"A roster source has no field {strange[0]!r}.")
    with transaction.atomic():
        # The connection's row keeps two first ones apart.
        Connection.objects.select_for_update(no_key=True).get(
            tenant_id=connection.tenant_id, pk=connection.pk
        )
        known = source_of(connection)
        row = known or RosterSource(pk=new_id(), tenant_id=connection.tenant_id, connection=connection)
        before = {name: getattr(row, name) for name in FIELDS}
        for name, value in fields.items():
            setattr(row, name, value.strip() if isinstance(value, str) else value)
        kind = _checked(row)
        changed = [name for name in FIELDS if known is None or getattr(row, name) != before[name]]
        if secret.strip():
            row.sealed, row.sealed_at = _sealed(row, secret.strip()), now()
            changed.append("credential")
        elif known is None:
            raise Invalid("secret", "Please give the credential.")
        elif WHERE_IT_GOES & set(changed):
            raise Invalid("secret", "Please enter the credential again: from now on another server gets it.")
        if not changed:
            return row
        if "scheduled" in changed:
            row.scheduled_at = now()
        _kept(row, kind)
        told = [{"change": "configuration", "fields": changed}]
        audit.record_act(Act.ROSTER_SOURCE_SET, row, actor=actor, why=reason, changes=told)
    return row


def remove_source(*, source: RosterSource, actor: Actor, reason: str) -> None:
    """The credential is gone with it. What was listed stays."""
    reason = needed_reason(reason)
    with transaction.atomic():
        audit.record_act(Act.ROSTER_SOURCE_REMOVED, source, actor=actor, why=reason)
        RosterSource.objects.filter(tenant_id=source.tenant_id, pk=source.pk).delete()


def source_of(connection: Connection) -> RosterSource | None:
    row: RosterSource | None = RosterSource.objects.filter(
        tenant_id=connection.tenant_id, connection=connection
    ).first()
    return row


def listing_of(source: RosterSource, make_wire: MakeWire = Wire) -> Listing:
    """Raises Unreadable where the credential cannot be opened or used."""
    try:
        secret = unseal(source.sealed, for_row=str(source.pk))
    except Unopenable:
        raise Unreadable(
            "No key opens the credential any more; please enter it again.", Flaw.DENIED
        ) from None
    settings = Settings(
        base=source.base_address,
        token_address=source.token_address,
        client_id=source.client_id,
        subject=source.subject,
        chosen=source.chosen,
        secret=secret,
    )
    return KINDS[source.kind].open(settings, make_wire)


def _checked(row: RosterSource) -> Kind:
    """Fills in what the kind knows. Raises Invalid."""
    kind = KINDS.get(row.kind)
    if kind is None:
        raise Invalid("kind", f"The hub lists people by {', '.join(sorted(KINDS))}.")
    row.base_address = (row.base_address or kind.base).rstrip("/")
    row.token_address = row.token_address or kind.token_address
    _check_address("base_address", row.base_address)
    if row.token_address:
        _check_address("token_address", row.token_address)
    needs = set(kind.needs)
    if row.kind == RosterSource.Kind.SCIM and (row.token_address or row.client_id):
        needs |= {"token_address", "client_id"}
    for name in sorted(needs):
        if not getattr(row, name):
            raise Invalid(name, _ASKED[name])
    try:
        row.mapping = dict(checked(row.mapping or kind.mapping).columns)
    except Wrong as error:
        raise Invalid("mapping", str(error)) from None
    return kind


def _check_address(field: str, address: str) -> None:
    try:
        outbound.check(address)
    except outbound.Refused as refusal:
        raise Invalid(field, str(refusal)) from None
    if "?" in address or "#" in address:
        raise Invalid(field, "The address ends before its question mark.")


def _sealed(row: RosterSource, secret: str) -> str:
    if len(secret) > LONGEST_SECRET:
        raise Invalid("secret", "This is too long for a credential.")
    if row.kind == RosterSource.Kind.GOOGLE:
        secret, row.client_id = _google_key(secret)
    elif not secret.isascii() or not secret.isprintable() or " " in secret:
        raise Invalid("secret", "A token or client secret has neither blanks nor line breaks.")
    return seal(secret, for_row=str(row.pk))


def _google_key(text: str) -> tuple[str, str]:
    """What is used of the file, and the service account's name."""
    found = key_file(text)
    if found is None:
        raise Invalid("secret", "Please give the whole JSON file of the service account's key.")
    try:
        key = load_pem_private_key(found["private_key"].encode(), password=None)
    except (TypeError, ValueError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise Invalid("secret", "The file holds no RSA key.")
    used = {name: found[name] for name in ("client_email", "private_key")}
    return orjson.dumps(used).decode(), found["client_email"]


def _kept(row: RosterSource, kind: Kind) -> None:
    try:
        row.clean_fields(exclude=["tenant", "connection"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Invalid(field, messages[0]) from None
    for name in FIELDS:
        if not all_keepable(getattr(row, name)):
            raise Invalid(name, "This holds characters that cannot be kept, such as NUL.")
    row.problem, row.problem_at = "", None
    row.save()
