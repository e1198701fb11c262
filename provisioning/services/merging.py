"""Two identities that turn out to be one person become one; an administrator may take it back.

The loser's row stays and says who stands for it, so that its id is an answer for good. What moves and what does not is
`provisioning.merges.REFERENCES`.
"""

from dataclasses import dataclass
from uuid import UUID

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from identity_hub.core.request_id import current_request_id
from provisioning import audit, merges
from provisioning.decision.authority import first_said, profile_of_assertion, profile_of_resource
from provisioning.decision.reasons import Act
from provisioning.decision.types import (
    PROFILE_FIELDS,
    Actor,
    Channel,
    Decision,
    DeleteAccount,
    Intent,
    LiftHold,
    MergeIdentities,
    Observation,
    Outcome,
    Profile,
    UnmergeIdentities,
    UpdateIdentity,
    Verdict,
)
from provisioning.decision.types import Merge as MergeFacts
from provisioning.models import Account, Entitlement, Identity, Merge

from .findings import tell_apart
from .invalid import needed_reason
from .submission import retrying, simulate_many, submit_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a merge or an unmerge would do now, before anything is written."""

    decision: Decision
    moves: dict[str, int]
    """Kind of row -> how many go with the identity that ends; sessions end."""
    folded: list[UUID]
    """Accounts of logins that would end in the account that SCIM delivered."""
    shown: dict[str, tuple[str, str]]
    """Of the identity that stays: field -> (what it shows, what it would show), where the two differ."""
    gained: list[Entitlement]
    """What the identity that stays would hold beside what it holds."""
    held: bool
    """Whether the identity that stays is held once it is done."""
    accounted: bool
    """Whether anything lets it in: a live account, or a password of the hub's own."""

    @property
    def possible(self) -> bool:
        return self.decision.verdict is Verdict.APPLIED


def merge(
    *, winner: Identity, loser: Identity, reason: str, actor: Actor, finding_id: UUID | None = None
) -> Outcome:
    """The loser ends in the winner. Refused where one of them is protected, or where they cannot be one person."""
    observation = _merging(winner, loser, needed_reason(reason), actor, finding_id)
    return retrying(lambda: _carried_out(observation, loser, Act.MERGED_INTO))


def unmerge(*, merge: Merge, reason: str, actor: Actor) -> Outcome:
    """Each has again what the merge had moved. What something newer has touched stays (`Merge.kept`).

    The two are told apart with it, so that nothing asks about them again.
    """
    observation = _unmerging(merge, needed_reason(reason), actor)

    def work() -> Outcome:
        outcome = _carried_out(observation, merge.loser, Act.STANDS_AGAIN)
        if outcome.verdict is Verdict.APPLIED:
            pair = (merge.winner_id, merge.loser_id)
            tell_apart(tenant_id=merge.tenant_id, pairs=[pair], actor=actor)
        return outcome

    return retrying(work)


def foresee(*, winner: Identity, loser: Identity, actor: Actor) -> Preview:
    """What `merge` would do; nothing is written."""
    ((decision, loaded),) = simulate_many([_merging(winner, loser, "", actor, None)])
    before = loaded.identities.get(winner.pk)
    after = next(
        (
            change.profile
            for change in decision.changes
            if isinstance(change, UpdateIdentity) and change.identity_id == winner.pk
        ),
        None,
    )
    own = {entitlement.pk for entitlement in Entitlement.objects.of_identity(winner)}
    lifted = {
        (change.identity_id, change.kind, change.source_account_id)
        for change in decision.changes
        if isinstance(change, LiftHold)
    }
    both = [loaded.identities[key] for key in (winner.pk, loser.pk) if key in loaded.identities]
    held = any(
        (one.id, hold.kind, hold.source_account_id) not in lifted for one in both for hold in one.holds
    )
    accounted = any(one.local or one.accounts for one in both)
    return Preview(
        decision=decision,
        moves=merges.counted(_tenant(loser), loser.pk, now()),
        folded=[change.account_id for change in decision.changes if isinstance(change, DeleteAccount)],
        shown=_differing(before.profile, after) if before and after else {},
        gained=[one for one in Entitlement.objects.of_identity(loser) if one.pk not in own],
        held=held,
        accounted=accounted,
    )


def foresee_unmerge(*, merge: Merge, actor: Actor) -> Decision:
    """What `unmerge` would decide now; nothing is written."""
    ((decision, _),) = simulate_many([_unmerging(merge, "", actor)])
    return decision


def _carried_out(observation: Observation, loser: Identity, code: Act) -> Outcome:
    """The decision is on record about the identity that stays; a second row tells it of the other one.

    Inside the caller's `retrying`.
    """
    change = (MergeIdentities if observation.intent is Intent.MERGE else UnmergeIdentities).__name__
    outcome = submit_within(observation)
    if outcome.verdict is Verdict.APPLIED and observation.merge:
        audit.record_act(
            code,
            loser,
            actor=observation.actor,
            why=observation.reason,
            intent=observation.intent,
            changes=[
                {
                    "change": change,
                    "merge_id": observation.merge.id,
                    "identity_id": observation.target_identity_id,
                    "former_identity_id": loser.pk,
                }
            ],
            object_id=observation.merge.id,
            at=observation.at,
        )
    return outcome


def _merging(
    winner: Identity, loser: Identity, reason: str, actor: Actor, finding_id: UUID | None
) -> Observation:
    return _observed(Intent.MERGE, winner, loser.pk, MergeFacts(id=new_id()), reason, actor, finding_id)


def _unmerging(merge: Merge, reason: str, actor: Actor) -> Observation:
    accounts = frozenset(map(UUID, merge.moved["account.identity"]))
    facts = MergeFacts(id=merge.pk, accounts=accounts, ended=_last_said(merge, accounts))
    return _observed(Intent.UNMERGE, merge.winner, merge.loser_id, facts, reason, actor, None)


def _last_said(merge: Merge, moved: frozenset[UUID]) -> dict[UUID, Profile]:
    """What the accounts of each that have ended last said, the latest of each; those that are purged say nothing.

    Of whom nothing is left to say, once accounts were moved, whoever signs in here has the name for that.
    """
    said: dict[UUID, Profile] = {}
    ended = Account.objects.filter(
        tenant_id=merge.tenant_id, identity_id=merge.winner_id, deleted_at__isnull=False
    ).order_by("-deleted_at")
    for account in ended.only("id", "resource", "assertion", "user_name"):
        whose = merge.loser_id if account.pk in moved else merge.winner_id
        profile = first_said([profile_of_resource(account.resource), profile_of_assertion(account.assertion)])
        if profile.user_name:
            said.setdefault(whose, profile)
    if moved:
        # Attack: whoever shows somebody else's keys is taken for them, and shows them after their owner is purged.
        said.setdefault(merge.winner_id, Profile(user_name=merge.winner.login_name or ""))
        said.setdefault(merge.loser_id, Profile())
    return said


def _observed(
    intent: Intent,
    winner: Identity,
    loser_id: UUID,
    merge: MergeFacts,
    reason: str,
    actor: Actor,
    finding_id: UUID | None,
) -> Observation:
    return Observation(
        channel=Channel.ADMIN,
        intent=intent,
        tenant_id=_tenant(winner),
        connection_id=None,
        at=now(),
        actor=actor,
        request_id=current_request_id(),
        target_identity_id=winner.pk,
        former_identity_id=loser_id,
        merge=merge,
        finding_id=finding_id,
        reason=reason,
    )


def _tenant(identity: Identity) -> UUID:
    if identity.tenant_id is None:
        raise ValueError("an installation superuser is nobody's duplicate")
    return identity.tenant_id


def _differing(before: Profile, after: Profile) -> dict[str, tuple[str, str]]:
    sides = {name: (getattr(before, name), getattr(after, name)) for name in PROFILE_FIELDS}
    return {name: (was, would) for name, (was, would) in sides.items() if was != would}
