"""What an IdP's LogoutRequest ends, and what we tell an IdP. Knows the protocol's order; signatures are `client`'s."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from identity_hub.core.clock import now
from provisioning import addresses
from provisioning.decision.types import Actor
from provisioning.models import Connection, Session
from provisioning.models.sessions import name_id_digest
from provisioning.services import people
from provisioning.sessions import FACTS

from . import client
from .assertion import LogoutRequest, NameId, read_logout_request
from .checks import MAX_AGE, SKEW
from .client import Incoming
from .models import ConsumedAssertion
from .refusal import Refusal, Refused, refuse
from .sign_in import Ending, note

_log = structlog.get_logger("saml_sp.logout")

# Shorter session indexes may be counters, which two people can share.
_TELLING_INDEX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How many sessions ended, and our answer to the IdP (None where it takes none)."""

    sessions: int
    answer: client.Outgoing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """Whose session at which IdP a session of ours came from."""

    connection: Connection
    name_id: NameId
    session_index: str


def farewell_of(session: SessionBase) -> Farewell | None:
    """What to tell the IdP when this session ends; None for one that no IdP began."""
    facts = session.get(FACTS, {})
    if not facts.get("name_id"):
        return None
    # Whatever admits nobody any more can still be told that somebody left; a disabled connection speaks to nobody.
    connection = (
        Connection.objects.filter(tenant_id=facts["tenant_id"], pk=facts["connection_id"])
        .exclude(status=Connection.Status.DISABLED)
        .first()
    )
    if connection is None:
        return None
    return Farewell(
        connection=connection, name_id=NameId(**facts["name_id"]), session_index=facts["session_index"]
    )


def tell(farewell: Farewell) -> client.Outgoing | None:
    """The LogoutRequest for the IdP; None where it takes none. Ours has ended already: nothing depends on it."""
    try:
        return client.start_logout(farewell.connection, farewell.name_id, farewell.session_index)
    except client.NotConfigured:
        return None


def obey(request: HttpRequest, connection: Connection, incoming: Incoming) -> Ended | Ending:
    """Ends every session of the subject that a signed LogoutRequest names. Raises client.NotConfigured."""
    asked = _believed(connection, incoming, now())
    if isinstance(asked, Refusal):
        return note(request, connection, asked)
    sessions = _sessions(connection, asked)
    if not sessions:
        # Profiles 4.4.3.2: nobody is signed in under that name, which is what was asked for. It may also be a name
        # that the IdP does not assert; then people stay signed in, and whoever runs the hub should be able to see it.
        _log.warning("logout:no-session", connection=str(connection.id), message=asked.id)
    for session in sessions:
        people.end_session(session=session, actor=Actor(kind="connection", id=str(connection.id)))
    answer = client.logout_answer(connection, asked.id, incoming.relay_state)
    return Ended(sessions=len(sessions), answer=answer)


def _believed(connection: Connection, incoming: Incoming, at: datetime) -> LogoutRequest | Refusal:
    root = client.signed_message(connection, incoming, "LogoutRequest")
    if isinstance(root, Refusal):
        return root
    try:
        asked = read_logout_request(root)
    except Refused as refused:
        return refused.refusal
    here = addresses.saml_logout(connection.id)
    if asked.version != "2.0":
        return refuse("saml:version", where="LogoutRequest", expected="2.0", found=asked.version or "none")
    if asked.issuer != connection.idp_entity_id:
        return refuse("saml:issuer-foreign", expected=connection.idp_entity_id, found=asked.issuer)
    # Bindings 3.4.5.2: a signed message names where it goes, else it can be carried to another provider.
    if asked.destination != here:
        return refuse("saml:destination-foreign", expected=here, found=asked.destination or "none")
    end = asked.not_on_or_after
    if abs(at - asked.issued_at) > MAX_AGE + SKEW or (end is not None and at - end >= SKEW):
        return refuse("saml:too-old", issued=asked.issued_at.isoformat(), now=at.isoformat())
    key = hashlib.sha256(f"logout\0{asked.issuer}\0{asked.id}".encode()).digest()
    if not _first_time(connection, asked, key, at):
        return replace(refuse("saml:replayed"), message=key.hex())
    return asked


def _first_time(connection: Connection, asked: LogoutRequest, key: bytes, at: datetime) -> bool:
    # Attack: a recorded LogoutRequest, sent again, keeps a person out.
    consumed = ConsumedAssertion(
        tenant_id=connection.tenant_id,
        connection=connection,
        key=key,
        message_digest=b"",
        browser_digest=b"",
        created_at=at,
        expires_at=asked.issued_at + MAX_AGE + 2 * SKEW,
    )
    ConsumedAssertion.objects.bulk_create([consumed], ignore_conflicts=True)
    return ConsumedAssertion.objects.filter(tenant_id=connection.tenant_id, pk=consumed.pk).exists()


def _sessions(connection: Connection, asked: LogoutRequest) -> list[Session]:
    """Every session of whoever has a session here under this name; a SessionIndex of one names its person too."""
    here = Session.objects.filter(tenant_id=connection.tenant_id, connection_id=connection.id)
    digest = name_id_digest(asked.name_id.value, asked.name_id.format)
    named = [session for session in here.filter(name_id_digest=digest) if _is_of(session, connection, asked)]
    if not named:
        telling = [index for index in asked.session_indexes if len(index) >= _TELLING_INDEX]
        named = list(here.filter(session_index__in=telling)) if telling else []
    # The name is one session's: another one may have begun before the person, or the mapping, was renamed.
    people_named = {session.identity_id for session in named}
    return list(here.filter(identity_id__in=people_named).select_related("identity"))


def _is_of(session: Session, connection: Connection, asked: LogoutRequest) -> bool:
    """Core 8.3.7: the same value may be another person's in another qualifier's namespace. One that is left out, and
    the parties' own names, mean what the two of them always mean."""
    own = {asked.issuer, addresses.saml_metadata(connection.id), ""}
    said = session.get_decoded().get(FACTS, {}).get("name_id") or {}
    pairs = (
        (asked.name_id.qualifier, said.get("qualifier", "")),
        (asked.name_id.sp_qualifier, said.get("sp_qualifier", "")),
    )
    return all(one == other or one in own or other in own for one, other in pairs)
