"""What an IdP's LogoutRequest ends, and what we tell an IdP. Knows the protocol's order; signatures are `client`'s."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import logout as end_local_session
from django.core.cache import cache
from django.http import HttpRequest

from identity_hub.core.clock import now
from identity_hub.core.sealing import Unopenable, seal, unseal
from provisioning import addresses
from provisioning.decision.types import Actor
from provisioning.models import Connection, Session
from provisioning.models.sessions import name_id_digest
from provisioning.services import people
from provisioning.services.submission import retrying
from provisioning.sessions import FACTS

from . import browser, client
from .assertion import LogoutRequest, NameId, read_logout_request
from .checks import MAX_AGE, SKEW
from .client import Incoming
from .models import ConsumedAssertion
from .refusal import Refusal, Refused, refuse
from .sign_in import DOUBLE_CLICK, Ending, note

_TOLD = ("tenant_id", "connection_id", "name_id", "session_index")
"""Facts of a session by which its IdP is told that it has ended."""

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


def take_leave(request: HttpRequest) -> Farewell | None:
    """Ends the local session: what to tell the IdP now; None where no IdP began it.

    The second half of a double click, whose answer is the one that the browser shows, finds the session over, and tells
    the IdP once more.
    """
    facts = {name: request.session.get(FACTS, {}).get(name) for name in _TOLD}
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    name = f"farewell:{hashlib.sha256(key.encode()).hexdigest()}"
    if facts["name_id"]:
        cache.set(name, seal(json.dumps(facts), for_row=name), DOUBLE_CLICK.total_seconds())
    elif sealed := cache.get(name):
        # A process that has newer keys than this one may have sealed it.
        with suppress(Unopenable):
            facts = json.loads(unseal(sealed, for_row=name))
    end_local_session(request)
    return _farewell(facts) if facts["name_id"] else None


def _farewell(facts: Mapping[str, Any]) -> Farewell | None:
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
    at, binding = now(), browser.binding_of(request)
    asked = _believed(connection, incoming, at)
    if isinstance(asked, Refusal):
        return note(request, connection, asked)
    used, ended = retrying(partial(_carry_out, connection, incoming, asked, browser.digest(binding), at))
    if used and not _is_echo(used, incoming, binding, at):
        return note(request, connection, replace(refuse("saml:replayed"), message=bytes(used.key).hex()))
    return Ended(sessions=ended, answer=client.logout_answer(connection, asked.id, incoming.relay_state))


def _carry_out(
    connection: Connection, incoming: Incoming, asked: LogoutRequest, browser_digest: bytes, at: datetime
) -> tuple[ConsumedAssertion | None, int]:
    """What is known of the same request, and how many sessions ended. One transaction: a request that ended nothing
    because something failed may come again."""
    used = _use_up(connection, incoming, asked, browser_digest, at)
    return used, 0 if used else _end(connection, asked)


def _end(connection: Connection, asked: LogoutRequest) -> int:
    sessions = _sessions(connection, asked)
    if not sessions:
        # Profiles 4.4.3.2: nobody is signed in under that name, which is what was asked for. It may also be a name
        # that the IdP does not assert; then people stay signed in, and whoever runs the hub should be able to see it.
        _log.warning("logout:no-session", connection=str(connection.id), message=asked.id)
    for session in sessions:
        people.end_session(session=session, actor=Actor(kind="connection", id=str(connection.id)))
    return len(sessions)


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
    return asked


def _use_up(
    connection: Connection, incoming: Incoming, asked: LogoutRequest, browser_digest: bytes, at: datetime
) -> ConsumedAssertion | None:
    """None the first time, else what is known of that; whoever comes at the same moment waits for the other."""
    # Attack: a recorded LogoutRequest, sent again, keeps a person out.
    consumed = ConsumedAssertion(
        tenant_id=connection.tenant_id,
        connection=connection,
        key=hashlib.sha256(f"logout\0{asked.issuer}\0{asked.id}".encode()).digest(),
        message_digest=_digest(incoming),
        browser_digest=browser_digest,
        created_at=at,
        expires_at=asked.issued_at + MAX_AGE + 2 * SKEW,
    )
    ConsumedAssertion.objects.bulk_create([consumed], ignore_conflicts=True)
    mine = ConsumedAssertion.objects.filter(tenant_id=connection.tenant_id, connection=connection)
    kept: ConsumedAssertion = mine.get(key=consumed.key)
    return None if kept.pk == consumed.pk else kept


def _is_echo(used: ConsumedAssertion, incoming: Incoming, binding: str, at: datetime) -> bool:
    """A double click, or a reload: the IdP may not have heard our answer, and hears it again. Nothing ends by it."""
    return (
        # Nothing tells two browsers apart that never signed in here.
        bool(binding)
        and bytes(used.browser_digest) == browser.digest(binding)
        and bytes(used.message_digest) == _digest(incoming)
        and at - used.created_at <= DOUBLE_CLICK
    )


def _digest(incoming: Incoming) -> bytes:
    return hashlib.sha256(incoming.value.encode()).digest()


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
    # In one order, so that no two requests wait for each other.
    return list(here.filter(identity_id__in=people_named).select_related("identity").order_by("pk"))


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
