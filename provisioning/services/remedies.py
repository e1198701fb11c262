"""What can be done about a finding, one remedy for each answer, with what it would change. Knows no page."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from identity_hub.core.clock import now
from identity_hub.core.ids import as_uuid
from provisioning.decision.authority import OVERRIDABLE
from provisioning.decision.deadlines import SETTLED
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import Actor, Decision, HoldKind, Observation, Outcome
from provisioning.models import Account, Finding, Hold, Identity, ScimClient, ScimToken
from provisioning.selectors.overrides import LABELS, said

from . import findings, linking, merging, overrides, ownership, people
from .invalid import Invalid, needed_reason
from .submission import retrying, simulate_many, submit, submit_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """`name` is what a form sends. `observation` is what the decision core would hear, where it hears anything.

    `approve` says how the finding reads afterwards: approved, or rejected, which is never asked again.
    """

    name: str
    title: str
    says: str
    approve: bool
    identity_id: UUID | None = None
    observation: Observation | None = None
    merge: tuple[UUID, UUID] | None = None
    """(who stays, who ends in that one)."""
    grave: bool = False
    """Somebody loses access by it, or gets in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """`decision` is what would be decided now; None where only the finding changes.

    `moves`: kind of row -> how many go along with somebody who ends in another one.
    """

    remedy: Remedy
    decision: Decision | None
    moves: Mapping[str, int] = field(default_factory=dict)


def remedies(finding: Finding, actor: Actor, reason: str = "") -> list[Remedy]:
    """Those that an open finding has now, the likeliest first; none for one that was decided."""
    if finding.status != Finding.Status.OPEN:
        return []
    return list(_remedies(finding, actor, reason))


def foresee(finding: Finding, actor: Actor) -> list[Foreseen]:
    """What each remedy would change, decided over the facts of now; nothing is written."""
    offered = remedies(finding, actor)
    decided = iter(simulate_many([one.observation for one in offered if one.observation is not None]))
    return [
        _foreseen_merge(finding, one, actor)
        if one.merge
        else Foreseen(remedy=one, decision=next(decided)[0] if one.observation is not None else None)
        for one in offered
    ]


def _foreseen_merge(finding: Finding, remedy: Remedy, actor: Actor) -> Foreseen:
    winner, loser = _pair(finding, remedy)
    preview = merging.foresee(winner=winner, loser=loser, actor=actor)
    return Foreseen(remedy=remedy, decision=preview.decision, moves=preview.moves)


def _pair(finding: Finding, remedy: Remedy) -> tuple[Identity, Identity]:
    assert remedy.merge is not None
    found = Identity.objects.filter(tenant_id=finding.tenant_id).in_bulk(remedy.merge)
    winner, loser = remedy.merge
    return found[winner], found[loser]


def carry_out(*, finding: Finding, name: str, reason: str, actor: Actor, seen: str = "") -> Outcome:
    """Raises Invalid without a reason, and for a remedy that the finding does not have any more."""
    reason = needed_reason(reason)
    remedy = next((one for one in remedies(finding, actor, reason) if one.name == name), None)
    if remedy is None:
        raise Invalid("remedy", "This remedy is not there any more; please look at the finding again.")
    if remedy.merge:
        winner, loser = _pair(finding, remedy)
        return merging.merge(winner=winner, loser=loser, reason=reason, actor=actor, finding_id=finding.pk)
    act = name.partition(":")[0]
    if act in ("unbind", "free"):
        assert remedy.observation is not None
        # It closes the finding in the same breath.
        return submit(remedy.observation)
    if act not in ("hold", "release", "own", "unlink", "show"):
        return findings.decide(
            finding=finding,
            approve=remedy.approve,
            reason=reason,
            actor=actor,
            identity_id=remedy.identity_id,
            seen=seen,
        )
    # Somebody who loses access, or gets in, and the finding that asked for it: never one without the other.
    return retrying(partial(_carry_out, finding, remedy, reason, actor))


def _carry_out(finding: Finding, remedy: Remedy, reason: str, actor: Actor) -> Outcome:
    close = partial(
        findings.decide_within, finding=finding, approve=True, reason=reason, actor=actor, acted=True
    )
    if remedy.observation is None:
        ownership.take_over(row=_owned(finding), actor=actor, reason=reason)
        return close()
    outcome = submit_within(remedy.observation)
    if outcome.accepted:
        close()
    return outcome


def _remedies(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    if findings.waits(finding):
        yield from _of_waiting(finding, actor, reason)
        return
    match finding.kind:
        case FindingKind.APPROVAL_REQUESTED:
            yield from _of_request(finding, actor, reason)
            return
        case FindingKind.IDP_REPLACED:
            yield Remedy(
                name="take",
                title="Take the new metadata",
                says="Whoever holds its keys signs people in through this connection.",
                approve=True,
                grave=True,
            )
            yield Remedy(
                name="throw-away",
                title="Throw it away",
                says="The old metadata stays in use, and people can sign in again.",
                approve=False,
            )
            return
        case FindingKind.ORPHAN_IDENTITY | FindingKind.DORMANT | FindingKind.HELD_KEEPS_GROUPS:
            yield from _holds([finding.identity_id], finding, actor, reason)
        case FindingKind.ATTRIBUTE_CONFLICT:
            yield from _taking_off(finding, actor, reason)
            yield from _showing(finding, actor, reason)
        case FindingKind.STATES_DIFFER:
            # The stricter wins: what a source's word holds, only that source lifts.
            yield from _keeping_out(finding, actor, reason)
        case FindingKind.STATE_CONFLICT:
            yield from _letting_in(finding, actor, reason)
            yield from _keeping_out(finding, actor, reason)
        case FindingKind.DISABLED_UNLINKED:
            yield from _holds([UUID(name) for name in finding.candidates], finding, actor, reason)
        case FindingKind.UNCONFIRMED:
            yield from _release(finding, actor, reason)
        case FindingKind.NAME_ID_CHANGED:
            yield from _bind_anew(finding, actor, reason)
        case FindingKind.NAME_ID_RECYCLED:
            yield from _free_name_id(finding, actor, reason)
        case FindingKind.NAME_HELD_BY_INACTIVE:
            yield from _free_name(finding, actor, reason)
        case FindingKind.OWNERLESS:
            yield Remedy(
                name="own",
                title="I answer for it from now on",
                says="You are its owner. Its secret stays the same: rotate it if the former owner may know it.",
                approve=True,
            )
    if finding.kind in findings.SAME_PERSON:
        yield from _merges(finding)
        yield Remedy(
            name="apart",
            title="Two people",
            says="They are told apart for good: no push, login or night asks about the two again.",
            approve=False,
        )
        if finding.kind == FindingKind.DUPLICATE_IDENTITIES:
            return
    yield Remedy(
        name="settled",
        title="Dealt with",
        says=f"Nothing else changes. {findings.ASKED_WHENEVER.get(finding.kind, _IN_THREE_MONTHS)}",
        approve=True,
    )
    if finding.kind not in findings.SAME_PERSON:
        yield Remedy(
            name="dismiss",
            title="Not a case",
            says="Nothing else changes, and it is never asked again.",
            approve=False,
        )


_IN_THREE_MONTHS = "If it is still so in three months, it is asked again."


def _merges(finding: Finding) -> Iterator[Remedy]:
    """The two may be one person, and either may be the one who stays."""
    pairs = [pair for pair in findings.pairs_of(finding) if pair[0] != pair[1]]
    people = {row.pk: row for row in _identities(finding, {str(key) for pair in pairs for key in pair})}
    for one, other in pairs:
        if one not in people or other not in people:
            continue
        for winner, loser in ((one, other), (other, one)):
            yield Remedy(
                name=f"merge:{winner}:{loser}",
                title=f"One person: {people[winner]} stays",
                says=f"{people[loser]} ends in {people[winner]}, and is found under both ids. It can be taken back.",
                approve=True,
                merge=(winner, loser),
                grave=True,
            )


def _of_waiting(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    candidates = _identities(finding, finding.candidates)
    for identity in candidates:
        yield Remedy(
            name=f"link:{identity.pk}",
            title=f"It is {identity}",
            says="The account is tied to this person: the connection may then sign the person in.",
            approve=True,
            identity_id=identity.pk,
            observation=findings.answer(
                finding, approve=True, reason=reason, actor=actor, identity_id=identity.pk
            ),
            grave=True,
        )
    if not candidates:
        yield Remedy(
            name="settled",
            title="Leave it waiting",
            says="The question is closed. Nobody signs in by the account, and the next night may ask again.",
            approve=True,
        )
    yield Remedy(
        name="separate",
        title="Somebody else",
        says="The account becomes a person of its own"
        + (", told apart from whoever is shown above for good." if candidates else "."),
        approve=False,
        observation=findings.answer(finding, approve=False, reason=reason, actor=actor),
    )


def _of_request(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    yield Remedy(
        name="let-in",
        title="Let the person in",
        says="The hold is lifted: the next login gets in, with no privilege but what mapped groups give.",
        approve=True,
        observation=findings.answer(finding, approve=True, reason=reason, actor=actor),
        grave=True,
    )
    yield Remedy(
        name="keep-out",
        title="Keep the person out",
        says="An administrator's hold takes the place of the request. The account stays, so that no later login "
        "makes another one, and the person reads that it is disabled.",
        approve=False,
        observation=findings.answer(finding, approve=False, reason=reason, actor=actor),
    )


def _holds(ids: Iterable[UUID | None], finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    for identity in _identities(finding, [str(key) for key in ids if key is not None]):
        if identity.enabled and not identity.protected:  # type: ignore[attr-defined]
            yield Remedy(
                name=f"hold:{identity.pk}",
                title=f"Hold {identity}",
                says="Every session ends, and nobody signs in as this person until an administrator lifts the hold.",
                approve=True,
                observation=people.holding(
                    identity=identity, kind=HoldKind.ADMIN, reason=reason, actor=actor
                ),
                grave=True,
            )


def _release(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    identity = finding.identity
    held = Hold.objects.filter(
        tenant_id=finding.tenant_id, identity_id=finding.identity_id, kind=HoldKind.EXPIRY.value
    )
    if identity is not None and held.exists():
        yield Remedy(
            name="release",
            title=f"Let {identity} back in",
            says="The hold of the grace that ended is lifted, and the account is not asked about again.",
            approve=True,
            observation=people.lifting(identity=identity, kind=HoldKind.EXPIRY, reason=reason, actor=actor),
            grave=True,
        )


def _taking_off(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    """Whose values contradict each other may be two people by a wrong link: either account may be the stranger's."""
    rows = Account.objects.filter(
        tenant_id=finding.tenant_id, identity_id=finding.identity_id, deleted_at__isnull=True
    )
    accounts = list(rows.select_related("connection").order_by("connection__precedence", "id"))
    if finding.identity_id is None or len(accounts) < 2:
        return
    for account in accounts:
        yield Remedy(
            name=f"unlink:{account.pk}",
            title=f"{account} of {account.connection} is somebody else",
            says="The account waits until somebody says whose it is, and nobody signs in by it meanwhile. What it "
            "holds waits with it.",
            approve=True,
            observation=linking.unlinking(account=account, reason=reason, actor=actor),
            grave=True,
        )


def _showing(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    """Until the sources agree, one of the values that they say may be shown."""
    identity = finding.identity
    if identity is None or identity.merged_into_id is not None:
        return
    rows = Account.objects.filter(tenant_id=finding.tenant_id, identity=identity, deleted_at__isnull=True)
    accounts = list(rows.select_related("connection").order_by("connection__precedence", "id"))
    # As long as a finding that was dealt with is not asked again.
    until = now() + SETTLED
    for attribute in OVERRIDABLE:
        if attribute not in finding.evidence.get("attributes", ()):
            continue
        sources: dict[str, list[str]] = {}
        for source, value in said(attribute, accounts):
            sources.setdefault(value, []).append(source)
        for value, names in sources.items():
            with suppress(Invalid):
                observation = overrides.overriding(
                    identity=identity,
                    attribute=attribute,
                    value=value,
                    until=until,
                    reason=reason,
                    actor=actor,
                )
                yield Remedy(
                    # By the value: what somebody has agreed to is not another one that a push has brought since.
                    name=f"show:{attribute}:{sha256(value.encode()).hexdigest()[:16]}",
                    title=f"Show {value}",
                    says=f"{LABELS[attribute]} as {' and '.join(names)} says. An override until {until:%Y-%m-%d}: "
                    "the accounts keep what they say, and if they still disagree then, it is asked again.",
                    approve=True,
                    observation=observation,
                )


def _keeping_out(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    """Somebody is out as things stand, and would be in with the next word of a source."""
    identity = finding.identity
    if identity is None or identity.protected or identity.merged_into_id is not None:
        return
    if not _holds_on(finding).filter(kind=HoldKind.ADMIN.value).exists():
        yield Remedy(
            name=f"hold:{identity.pk}",
            title=f"Hold {identity}",
            says="Whatever a source says from now on, nobody signs in as this person until an administrator lifts the "
            "hold.",
            approve=True,
            observation=people.holding(identity=identity, kind=HoldKind.ADMIN, reason=reason, actor=actor),
            grave=True,
        )


def _letting_in(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    """Where the account that the roster contradicts is all that keeps the person out."""
    identity, account = finding.identity, finding.account
    if identity is None or account is None or account.deleted_at is not None:
        return
    holds = set(_holds_on(finding).values_list("kind", "source_account_id"))
    if finding.evidence.get("roster") == "active" and holds == {(HoldKind.SCIM.value, account.pk)}:
        yield Remedy(
            name="release",
            title=f"Let {identity} in",
            says="The roster is right: the directory's hold is lifted, and the next login gets in. The account goes on "
            "saying inactive, and its identity provider may hold the person again.",
            approve=True,
            observation=people.lifting(identity=identity, kind=HoldKind.SCIM, reason=reason, actor=actor),
            grave=True,
        )


def _holds_on(finding: Finding) -> QuerySet[Hold]:
    return Hold.objects.filter(tenant_id=finding.tenant_id, identity_id=finding.identity_id)


def _bind_anew(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    account = finding.account
    if account is not None and _is_bound(account):
        yield Remedy(
            name="unbind",
            title="Bind anew",
            says=f"{account} is bound to no NameID any more. The next login that its connection believes, and whose "
            "name or key is the account's, binds its own: ask first whether the NameID was changed on "
            "purpose. No hold is lifted.",
            approve=True,
            observation=linking.unbinding(account=account, reason=reason, actor=actor, finding_id=finding.pk),
            grave=True,
        )


def _free_name_id(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    """Only where the other one has an account of their own to bind it to.

    Attack: whoever was given a leaver's NameID waits for it to be freed, and for the name alone to open the leaver's
    account. Where SCIM has given each a key of their own, the key refuses that.
    """
    account, other = finding.account, _other(finding)
    if account is None or other is None or not _is_bound(account):
        return
    if not (account.external_id and other.external_id) or account.external_id == other.external_id:
        return
    yield Remedy(
        name="unbind",
        title=f"The NameID is {other}'s now",
        says=f"{account} is bound to it no longer, and {other} is by the next login that brings that account's key. "
        f"{account} stays who it is, and is bound by a login with its own key. No hold is lifted.",
        approve=True,
        observation=linking.unbinding(account=account, reason=reason, actor=actor, finding_id=finding.pk),
        grave=True,
    )


def _free_name(finding: Finding, actor: Actor, reason: str) -> Iterator[Remedy]:
    account = finding.account
    if account is not None and account.deleted_at is None and not account.active:
        yield Remedy(
            name="free",
            title="Free the name",
            says=f"{account} ends as if its identity provider had deleted it: a push of the same key finds the person "
            "again, its data goes when the connection's retention is over, and the person stays held. The next push "
            "of the name makes a new account.",
            approve=True,
            observation=linking.ending(account=account, reason=reason, actor=actor, finding_id=finding.pk),
            grave=True,
        )


def _is_bound(account: Account) -> bool:
    return account.deleted_at is None and bool(account.subject_value)


def _other(finding: Finding) -> Account | None:
    """The account that the key named, where the NameID named another one."""
    key = as_uuid(finding.evidence.get("other", ""))
    rows = Account.objects.filter(
        tenant_id=finding.tenant_id,
        connection_id=finding.connection_id,
        deleted_at__isnull=True,
        identity__isnull=False,
    )
    return rows.filter(pk=key).first() if key else None


def _identities(finding: Finding, names: Iterable[str]) -> list[Identity]:
    """Those of them that are there, in their order, with their state."""
    keys = [UUID(name) for name in names]
    found = {
        row.pk: row for row in Identity.objects.with_state().filter(tenant_id=finding.tenant_id, pk__in=keys)
    }
    return [found[key] for key in keys if key in found]


def _owned(finding: Finding) -> ScimToken | ScimClient | Identity:
    what = finding.evidence["what"]
    model: Any = {"token": ScimToken, "client": ScimClient, "identity": Identity}[what]
    row = model.objects.filter(tenant_id=finding.tenant_id, pk=UUID(finding.evidence[what])).first()
    if row is None:
        raise Invalid("remedy", "What it is about is gone.")
    return row  # type: ignore[no-any-return]
