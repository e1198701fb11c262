"""What a run looks for in the stored facts, and which observation each hit is. Knows no decision and no write.

A roster is one more source of observations: its check will look at staged rows instead of stored facts.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from provisioning.decision.authority import profile_of_assertion, profile_of_resource
from provisioning.decision.policy import Policy
from provisioning.decision.reasons import Report
from provisioning.decision.types import Actor, Channel, Document, GroupObservation, Intent, Observation
from provisioning.models import Connection
from provisioning.selectors import reconciliation as stored

Among = Collection[UUID] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One connection, looked at once."""

    connection: Connection
    policy: Policy
    at: datetime
    actor: Actor
    request_id: str = ""

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

    `evidence` holds ids and names of keys, no personal value.
    """

    account_id: UUID | None = None
    identity_id: UUID | None = None
    observation: Observation | GroupObservation | None = None
    report: Report | None = None
    evidence: Document = field(default_factory=dict)

    @property
    def key(self) -> tuple[UUID | None, str]:
        """What tells this hit from the others of its check."""
        return self.account_id or self.identity_id, self.evidence.get("group", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`look` answers the hits, or among some ids (accounts, else identities) those that still are hits."""

    name: str
    question: str
    look: Callable[[Scope, Among], Iterator[Hit]]


def unconfirmed(scope: Scope, among: Among) -> Iterator[Hit]:
    for account_id, identity_id in stored.unconfirmed(scope.connection, scope.policy, scope.at, among):
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


def duplicates(scope: Scope, among: Among) -> Iterator[Hit]:
    for shared in stored.duplicates(scope.connection, scope.policy):
        evidence = {
            "key": shared.kind,
            "count": shared.count,
            "identities": [str(identity_id) for identity_id in shared.identities],
        }
        yield Hit(identity_id=shared.identity_id, report=Report.SHARES_KEY, evidence=evidence)


def never_came(scope: Scope, among: Among) -> Iterator[Hit]:
    for account_id, identity_id in stored.never_came(scope.connection, among):
        yield Hit(account_id=account_id, identity_id=identity_id, report=Report.NEVER_SIGNED_IN)


CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
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
        Check(name="duplicates", question="Which identities share a key?", look=duplicates),
        Check(name="never-came", question="Whom did SCIM deliver who never signed in?", look=never_came),
    )
}
