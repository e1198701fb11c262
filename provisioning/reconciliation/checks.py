"""What a run looks for in stored facts and in its roster, and which observation each hit is. Knows no decision."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

import orjson

from identity_hub.core.ids import new_id
from provisioning.decision.authority import profile_of_assertion, profile_of_resource
from provisioning.decision.keys import fold
from provisioning.decision.policy import Policy
from provisioning.decision.reasons import Report
from provisioning.decision.types import Actor, Channel, Document, GroupObservation, Intent, Observation
from provisioning.digests import keyed
from provisioning.models import Connection, Roster
from provisioning.selectors import reconciliation as stored
from provisioning.selectors import roster_differences
from provisioning.selectors.roster_differences import Kind

Among = Collection[UUID | int] | None
Key = tuple[UUID | int | None, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One connection, looked at once."""

    connection: Connection
    policy: Policy
    at: datetime
    actor: Actor
    digest_key: bytes
    request_id: str = ""
    roster: Roster | None = None
    """The listing to compare with; its differences have been found (`roster_differences.find`)."""

    def observe(self, intent: Intent, **said: object) -> Observation:
        return Observation(
            channel=Channel.ROSTER,
            intent=intent,
            tenant_id=self.connection.tenant_id,
            connection_id=self.connection.pk,
            at=self.at,
            actor=self.actor,
            request_id=self.request_id,
            **said,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """`observation` is what to decide about it; where nothing follows, `report` says it, or it is dropped.

    `row_id` is the row of the roster that the hit is about. `evidence` holds ids and names of keys, no personal value.
    """

    account_id: UUID | None = None
    identity_id: UUID | None = None
    observation: Observation | GroupObservation | None = None
    report: Report | None = None
    row_id: int | None = None
    hands_on: bool = False
    """Whoever it is about has a name that somebody else gets: what is decided about that one depends on this."""
    evidence: Document = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What tells this hit from the others of its check."""
        return self.row_id or self.account_id or self.identity_id, self.evidence.get("group", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`look` answers the hits, or among some ids (rows, else accounts, else identities) those that still are hits."""

    name: str
    question: str
    look: Callable[[Scope, Among], Iterator[Hit]]
    only_reports: bool = False
    """Nothing ever follows from its hits."""


def unconfirmed(scope: Scope, among: Among) -> Iterator[Hit]:
    found = stored.unconfirmed(scope.connection, scope.policy, scope.at, among)
    if among is None:
        found = roster_differences.unlisted(scope.connection, found)
    for account_id, identity_id in found:
        observation = scope.observe(Intent.ABSENT, account_id=account_id)
        yield Hit(account_id=account_id, identity_id=identity_id, observation=observation)


def waiting(scope: Scope, among: Among) -> Iterator[Hit]:
    for row in stored.waiting(scope.connection, among):
        said = profile_of_resource(row.resource)
        observation = scope.observe(
            Intent.UPDATE,
            account_id=row.account_id,
            user_name=row.user_name,
            external_id=row.external_id,
            emails=tuple(row.email_keys),
            profile=said if said.hr_number else profile_of_assertion(row.assertion),
        )
        yield Hit(
            account_id=row.account_id, observation=observation, report=None if row.asked else Report.UNASKED
        )


def held_with_sessions(scope: Scope, among: Among) -> Iterator[Hit]:
    for identity_id in stored.held_with_sessions(scope.connection, scope.at, among):
        observation = scope.observe(Intent.DISABLE, target_identity_id=identity_id)
        yield Hit(identity_id=identity_id, observation=observation)


def ghost_memberships(scope: Scope, among: Among) -> Iterator[Hit]:
    for account_id, group_id in stored.ghost_memberships(scope.connection, among):
        observation = GroupObservation(
            channel=Channel.ROSTER,
            intent=Intent.UPDATE,
            tenant_id=scope.connection.tenant_id,
            connection_id=scope.connection.pk,
            at=scope.at,
            actor=scope.actor,
            request_id=scope.request_id,
            group_id=group_id,
            remove=(account_id,),
        )
        yield Hit(account_id=account_id, observation=observation, evidence={"group": str(group_id)})


def never_came(scope: Scope, among: Among) -> Iterator[Hit]:
    for account_id, identity_id in stored.never_came(scope.connection, among):
        yield Hit(account_id=account_id, identity_id=identity_id, report=Report.NEVER_SIGNED_IN)


_INTENTS = {
    Kind.NEW: Intent.CREATE,
    Kind.CHANGED: Intent.UPDATE,
    Kind.RENAMED: Intent.UPDATE,
    Kind.AMBIGUOUS: Intent.UPDATE,
    Kind.INACTIVE: Intent.DISABLE,
    Kind.ACTIVE: Intent.ENABLE,
}


def roster_rows(kind: Kind, scope: Scope, among: Among, report: Report | None = None) -> Iterator[Hit]:
    """Rows that differ. Later the same rows are asked about: whether they still differ is decided under lock."""
    roster = scope.roster
    if roster is None:
        return
    says = frozenset(roster.fields)
    rows = roster_differences.differences(kind)
    if among is not None:
        rows = roster_differences.rows_again(roster, [row for row in among if isinstance(row, int)])
    for row in rows:
        observation = scope.observe(
            _INTENTS[kind],
            user_name=row.user_name,
            external_id=row.external_id,
            active=row.active if "active" in says else None,
            emails=tuple(row.email_keys),
            profile=profile_of_resource(row.document),
            resource=row.document,
            as_of=roster.as_of,
            says=says,
            of_another_row=row.of_another_row,
            new_account_id=new_id(),
            new_identity_id=new_id(),
        )
        yield Hit(
            account_id=row.account_id,
            observation=observation,
            report=report,
            row_id=row.row_id,
            hands_on=row.hands_on,
            # Asked again, its item has kept what tells it apart.
            evidence={"line": row.line, **(_told_apart(scope, row) if among is None else {})},
        )


def nameless(scope: Scope, among: Among) -> Iterator[Hit]:
    if scope.roster is None:
        return
    for row in roster_differences.differences(Kind.NAMELESS):
        yield Hit(row_id=row.row_id, report=Report.LISTED_WITHOUT_NAME, evidence={"line": row.line})


def _told_apart(scope: Scope, row: roster_differences.Listed) -> Document:
    """What a row says, and whose it is, as the next roster is asked about both. Nobody reads a value from it."""
    said = {
        "says": orjson.dumps(row.document, option=orjson.OPT_SORT_KEYS).decode(),
        "whose": f"key {row.external_id}" if row.external_id else f"name {fold(row.user_name)}",
    }
    return {
        name: keyed(scope.digest_key, f"row-{name}", scope.connection.pk, text).hex()[:32]
        for name, text in said.items()
    }


def gone(scope: Scope, among: Among) -> Iterator[Hit]:
    if scope.roster is None:
        return
    accounts = roster_differences.gone(Kind.GONE) if among is None else among
    for account_id in accounts:
        observation = scope.observe(Intent.ABSENT, account_id=account_id, as_of=scope.roster.as_of)
        yield Hit(account_id=account_id, observation=observation)


def gone_once(scope: Scope, among: Among) -> Iterator[Hit]:
    if scope.roster is None:
        return
    for account_id in roster_differences.gone(Kind.GONE_ONCE):
        yield Hit(account_id=account_id, report=Report.MISSING_ONCE)


CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        # A listing confirms whom a login made before its grace is looked at, and frees names before it gives them.
        Check(
            name="roster-inactive",
            question="Who is active here and inactive in the roster?",
            look=partial(roster_rows, Kind.INACTIVE),
        ),
        Check(
            name="roster-gone",
            question="Who is in neither of two complete rosters, twelve hours apart?",
            look=gone,
        ),
        Check(
            name="roster-changed",
            question="Of whom does the roster say something else?",
            look=partial(roster_rows, Kind.CHANGED),
        ),
        Check(
            name="roster-active",
            question="Who is active in the roster and inactive here, or held as missing?",
            look=partial(roster_rows, Kind.ACTIVE),
        ),
        Check(
            name="roster-renamed",
            question="Who gets a name that somebody else lets go of?",
            look=partial(roster_rows, Kind.RENAMED, report=Report.LISTED_AMBIGUOUSLY),
        ),
        Check(
            name="roster-new",
            question="Whom does the roster list who is not here?",
            look=partial(roster_rows, Kind.NEW),
        ),
        Check(
            name="roster-ambiguous",
            question="Which rows answer to two accounts, or to one that has another key?",
            look=partial(roster_rows, Kind.AMBIGUOUS, report=Report.LISTED_AMBIGUOUSLY),
        ),
        Check(
            name="roster-gone-once",
            question="Who is missing from the newest roster only?",
            look=gone_once,
            only_reports=True,
        ),
        Check(
            name="roster-nameless",
            question="Whom does a roster without userNames list who is not here?",
            look=nameless,
            only_reports=True,
        ),
        # Links come before holds: a person who is found twice is judged as one.
        Check(name="waiting", question="Whose are the accounts that no identity is tied to?", look=waiting),
        Check(
            name="unconfirmed",
            question="Which accounts of a login did nobody confirm within their grace?",
            look=unconfirmed,
        ),
        Check(
            name="held-with-sessions",
            question="Who is held and still has a session?",
            look=held_with_sessions,
        ),
        Check(
            name="ghost-memberships",
            question="Which members of a group are deleted accounts?",
            look=ghost_memberships,
        ),
        Check(
            name="never-came",
            question="Whom did SCIM deliver who never signed in?",
            look=never_came,
            only_reports=True,
        ),
    )
}
