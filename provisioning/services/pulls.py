"""A roster that the hub lists itself: begun, taken up where it stopped, begun anew where that place is forgotten."""

from functools import partial
from hashlib import sha256
from uuid import UUID

import orjson
from django.db import transaction

from identity_hub.core.clock import now
from provisioning import audit, outbox
from provisioning.decision.reasons import Act, Flaw
from provisioning.decision.types import Actor, Channel
from provisioning.models import Connection, Roster, RosterSource
from provisioning.roster import Page, Source, Unreadable
from provisioning.roster.mapping import ColumnMap
from provisioning.roster.proof import Refusal
from provisioning.sources import Away, Expired
from provisioning.sources.kinds import MakeWire
from provisioning.sources.pulled import Pulled
from provisioning.sources.wire import Wire

from . import rosters
from .invalid import needed_reason
from .roster_sources import listing_of

TRIES = 3
"""How often a listing is begun in one pull: its people change while it is read, or its place is forgotten."""
ANEW = frozenset({Flaw.UNSTABLE, Flaw.EXPIRED})


def pull(
    *,
    source: RosterSource,
    actor: Actor,
    make_wire: MakeWire = Wire,
    progress: rosters.Progress | None = None,
) -> Roster:
    """Lists everybody: a roster that is complete or refused. For a person `note_order` comes first.

    Raises `rosters.Elsewhere` where another worker is at it, and `Away` where the server answers nobody for now: what
    was listed so far is kept, and the next pull goes on there.
    """
    for _ in range(TRIES):
        roster = _begun(source, actor)
        try:
            asked = _asked(source, make_wire)
            roster = rosters.receive(roster=roster, source=asked, progress=progress)
        except Unreadable as error:
            roster = rosters.refuse(roster, Refusal(flaw=error.flaw, sentence=error.sentence))
        except Expired as error:
            sentence = f"{error} It was begun anew."
            roster = rosters.refuse(roster, Refusal(flaw=Flaw.EXPIRED, sentence=sentence))
        except Away as error:
            _note(source, str(error))
            raise
        if roster.code not in ANEW:
            break
    _note(source, "")
    return roster


def note_order(source: RosterSource, actor: Actor, reason: str) -> None:
    """Keeps in mind who wants a pull now, and why. Raises Invalid without a reason."""
    audit.record_act(
        Act.ROSTER_ORDERED,
        source,
        actor=actor,
        why=needed_reason(reason),
        intent="load",
        channel=Channel.ROSTER,
    )


def order(source: RosterSource, actor: Actor, reason: str) -> None:
    """Has a worker pull; a request should not wait for it. Raises Invalid without a reason."""
    with transaction.atomic():
        note_order(source, actor, reason)
        payload = {"connection": str(source.connection_id), "actor": actor.signature}
        outbox.enqueue([("roster.pull", payload, source.tenant_id)])


def first_page(source: RosterSource) -> Page:
    """What the mapping makes of the first people. Keeps nothing; raises Unreadable and Away."""
    # Somebody waits for the answer, so nobody waits for a server that is busy.
    return next(iter(_asked(source, partial(Wire, tries=1)).pages(None)))


def due() -> list[tuple[UUID, UUID]]:
    """(tenant, connection) of every scheduled pull."""
    rows = RosterSource.objects.filter(scheduled=True, connection__status=Connection.Status.ACTIVE)
    return list(rows.order_by("pk").values_list("tenant_id", "connection_id"))


def _asked(source: RosterSource, make_wire: MakeWire) -> Source:
    mapping = ColumnMap(columns=source.mapping)
    return Pulled(kind=source.kind, listing=listing_of(source, make_wire), mapping=mapping)


def _begun(source: RosterSource, actor: Actor) -> Roster:
    """The listing that stopped, or a new one. Of two workers at once the second finds the first one's."""
    mapping = ColumnMap(columns=source.mapping)
    digest = _digest(source)
    with transaction.atomic():
        RosterSource.objects.select_for_update(no_key=True).filter(
            tenant_id=source.tenant_id, pk=source.pk
        ).first()
        known = rosters.unfinished(source.connection, digest=digest, mapping=mapping)
        return known or rosters.begin(
            connection=source.connection,
            kind=source.kind,
            fields=mapping.fields,
            actor=actor,
            reason=None,
            mapping=mapping,
            digest=digest,
        )


def _digest(source: RosterSource) -> str:
    """A listing goes on only while it is the same one: the same people of the same server."""
    asked = [str(source.pk), source.kind, source.base_address, source.subject, source.chosen]
    return sha256(orjson.dumps(asked)).hexdigest()


def _note(source: RosterSource, problem: str) -> None:
    RosterSource.objects.filter(tenant_id=source.tenant_id, pk=source.pk).update(
        problem=problem[:500], problem_at=now() if problem else None
    )
