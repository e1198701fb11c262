"""What an account's new state does to its identity. Knows holds, aliases, what is shown; not why."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from .authority import (
    assertion_of_profile,
    first_said,
    overlaid,
    overridden,
    profile_of_resource,
    resource_of_profile,
    shown_profile,
)
from .correlate import correlate, likeness, looking_like
from .duplicates import Duplicate
from .keys import domain_of
from .keys import fold as fold_name
from .policy import Policy
from .reasons import FindingKind
from .situations import Case
from .types import (
    AccountFacts,
    AddAlias,
    Change,
    Channel,
    CreateAccount,
    DeleteAccount,
    Document,
    EndSessions,
    HandOverGroups,
    HoldKind,
    IdentityFacts,
    Intent,
    LiftCarried,
    LiftHold,
    LinkAccount,
    Observation,
    OpenFinding,
    Origin,
    OverrideFacts,
    PlaceHold,
    Profile,
    Rule,
    Severity,
    Subject,
    UpdateAccount,
    UpdateIdentity,
    case_of,
)

T = TypeVar("T")

NO_EVIDENCE: Document = {}


def delivered_account(observation: Observation, policy: Policy, *, identity_id: UUID | None) -> AccountFacts:
    """The account that its IdP delivers: by a POST, or in a row of a roster."""
    active = observation.active is not False
    origin = Origin.ROSTER if observation.channel is Channel.ROSTER else Origin.SCIM
    return AccountFacts(
        id=needed(observation.new_account_id, "new_account_id"),
        connection_id=needed(observation.connection_id, "connection_id"),
        identity_id=identity_id,
        origin=origin,
        confirmed=True,
        active=active,
        version=1,
        user_name=observation.user_name,
        external_id=observation.external_id,
        asserted_key=None,
        subject=None,
        emails=observation.emails,
        resource=stamped({"active": active, **(observation.resource or {})}, active, observation.external_id),
        assertion={},
        precedence=policy.precedence,
        created_at=observation.at,
        last_login_at=None,
        as_of=observation.as_of,
        lifecycle_owner=origin,
    )


def jit_account(observation: Observation, policy: Policy, *, identity_id: UUID | None) -> AccountFacts:
    """The account that a login makes: unconfirmed, and without an externalId of its own."""
    subject = bindable(observation.subject)
    profile = replace(observation.profile, user_name=observation.user_name)
    return AccountFacts(
        id=needed(observation.new_account_id, "new_account_id"),
        connection_id=needed(observation.connection_id, "connection_id"),
        identity_id=identity_id,
        origin=Origin.JIT,
        confirmed=False,
        active=True,
        version=1,
        user_name=observation.user_name,
        external_id=None,
        asserted_key=observation.external_id or (subject.value if subject else None),
        subject=subject,
        emails=observation.emails,
        resource=resource_of_profile(profile),
        assertion=asserted(observation, policy),
        precedence=policy.precedence,
        created_at=observation.at,
        last_login_at=None,
        lifecycle_owner=Origin.JIT,
    )


def written(account: AccountFacts, observation: Observation, *, active: bool) -> AccountFacts:
    """The account after a SCIM write.

    A write by id brings the whole document, so a key that is not in it was removed: the face carries over what
    a PUT leaves out (row 20). A POST that meets the account never takes its key away.
    """
    whole = observation.intent is not Intent.CREATE and observation.resource is not None
    external_id = observation.external_id or (None if whole else account.external_id)
    resource = account.resource if observation.resource is None else observation.resource
    emails = account.emails if observation.resource is None else observation.emails
    if set(emails) == set(account.emails):
        emails = account.emails
    return replace(
        account,
        confirmed=True,
        active=active,
        user_name=observation.user_name or account.user_name,
        external_id=external_id,
        emails=emails,
        resource=stamped(resource, active, external_id),
        # From its first word on, SCIM's word on `active` stands.
        lifecycle_owner=account.lifecycle_owner if _is_kept(account) else Origin.SCIM,
    )


def _is_kept(account: AccountFacts) -> bool:
    return account.confirmed and account.lifecycle_owner is not Origin.ROSTER


def listed(account: AccountFacts, observation: Observation, *, active: bool) -> AccountFacts:
    """The account after a row of a roster: of what the roster does not say, nothing changes.

    It gives a key to an account that has none, and takes none away. Whom it closes it may open again.
    """
    external_id = observation.external_id or account.external_id
    resource = overlaid(account.resource, observation.resource or {}, observation.profile, observation.says)
    same_email = resource.get("emails") == account.resource.get("emails")
    closes = account.active and not active
    return replace(
        account,
        confirmed=True,
        active=active,
        user_name=observation.user_name or account.user_name,
        external_id=external_id,
        emails=account.emails if same_email else observation.emails,
        resource=stamped(resource, active, external_id),
        lifecycle_owner=Origin.ROSTER if closes or not account.confirmed else account.lifecycle_owner,
    )


def signed_in(account: AccountFacts, observation: Observation, policy: Policy) -> AccountFacts:
    """The account after a login: its assertion is kept, and speaks for the person only until SCIM does.

    No e-mail in a domain that is not granted to its connection is believed.
    """
    domains = policy.domains
    # A bad value takes nothing away: what the last good one said stays.
    kept = {name: account.assertion[name] for name in observation.faults if name in account.assertion}
    assertion = {**asserted(observation, policy), **kept}
    if account.confirmed and domain_of(assertion.get("email", "")) not in domains:
        assertion = {name: value for name, value in assertion.items() if name != "email"}
    after = replace(account, assertion=assertion, subject=bindable(observation.subject) or account.subject)
    if account.confirmed:
        return after
    before = profile_of_resource(account.resource)
    profile = replace(first_said([observation.profile, before]), user_name=account.user_name)
    granted = domain_of(profile.email) in domains
    if not granted:
        profile = replace(profile, email=before.email)
        after = replace(after, assertion={**assertion, "email": before.email})
    emails = observation.emails if granted and observation.emails else account.emails
    return replace(
        after,
        asserted_key=observation.external_id or account.asserted_key,
        emails=account.emails if set(emails) == set(account.emails) else emails,
        resource=resource_of_profile(profile),
    )


def bindable(subject: Subject | None) -> Subject | None:
    """Only a persistent NameID is a key that an account may be bound by (rows 22b, 23)."""
    return subject if subject and subject.is_key else None


def asserted(observation: Observation, policy: Policy) -> Document:
    """The assertion to keep: what was mapped, with the profile's fields under their canonical names.

    Of its groups those on the allow-list, and no others: a list of a person's groups tells much about her. One that
    brings none leaves none.
    """
    said = {**assertion_of_profile(observation.profile), **(observation.assertion or {})}
    groups = sorted(policy.asserted_groups.intersection(observation.groups))
    return {**said, "groups": groups} if groups else said


def creation(account: AccountFacts, *, rule: Rule | None, evidence: Document = NO_EVIDENCE) -> CreateAccount:
    return CreateAccount(
        account_id=account.id,
        connection_id=account.connection_id,
        identity_id=account.identity_id,
        origin=account.origin,
        confirmed=account.confirmed,
        active=account.active,
        user_name=account.user_name,
        external_id=account.external_id,
        asserted_key=account.asserted_key,
        subject=account.subject,
        emails=account.emails,
        resource=account.resource,
        assertion=account.assertion,
        rule=rule,
        evidence=evidence,
    )


def update(before: AccountFacts, after: AccountFacts) -> list[Change]:
    """The write of an account, where it says anything new."""
    if before == after:
        return []
    return [
        UpdateAccount(
            account_id=after.id,
            active=after.active,
            confirmed=after.confirmed,
            user_name=after.user_name,
            external_id=after.external_id,
            asserted_key=after.asserted_key,
            subject=after.subject,
            emails=after.emails,
            resource=after.resource,
            assertion=after.assertion,
            lifecycle_owner=after.lifecycle_owner,
        )
    ]


def show(identity: IdentityFacts, accounts: Iterable[AccountFacts]) -> list[Change]:
    """The profile that these accounts, and no others, let an identity show, under the overrides that it has."""
    return showing(identity, shown_profile(accounts, identity.profile), identity.overrides)


def showing(identity: IdentityFacts, said: Profile, overrides: Collection[OverrideFacts]) -> list[Change]:
    """What an identity shows where its sources say this and these overrides live."""
    profile = overridden(said, overrides) if overrides else said
    instead_of = {
        one.attribute: getattr(said, one.attribute)
        for one in overrides
        if one.instead_of != getattr(said, one.attribute)
    }
    if (
        profile == identity.profile
        and (identity.said_email is None or fold_name(said.email) == identity.said_email)
        and not instead_of
    ):
        return []
    said_email = said.email if profile.email != said.email else None
    return [
        UpdateIdentity(identity_id=identity.id, profile=profile, said_email=said_email, instead_of=instead_of)
    ]


def accounts_with(identity: IdentityFacts, account: AccountFacts) -> list[AccountFacts]:
    return [*accounts_without(identity, account.id), account]


def accounts_without(identity: IdentityFacts, account_id: UUID) -> list[AccountFacts]:
    return [a for a in identity.accounts if a.id != account_id]


def suspend(identity: IdentityFacts, kind: HoldKind, source: UUID | None, reason: str) -> list[Change]:
    """A hold, if that source has not placed it yet, and the end of every session."""
    placed = any(hold.kind is kind and hold.source_account_id == source for hold in identity.holds)
    hold = PlaceHold(identity_id=identity.id, kind=kind, source_account_id=source, reason=reason)
    return [*([] if placed else [hold]), EndSessions(identity_id=identity.id)]


def hold_of_inactive(account: AccountFacts, identity: IdentityFacts | None) -> list[Change]:
    """An account that is inactive when it meets its identity (a new one, if None) holds it."""
    if account.active or account.identity_id is None:
        return []
    if identity:
        return suspend(identity, HoldKind.SCIM, account.id, "linked while inactive")
    return [
        PlaceHold(
            identity_id=account.identity_id,
            kind=HoldKind.SCIM,
            source_account_id=account.id,
            reason="created inactive",
        )
    ]


def release(case: Case, kind: HoldKind, sources: Iterable[UUID], *, keep: UUID | None = None) -> list[Change]:
    """Lift what these accounts placed, on whichever identity it lies but `keep`; nobody else's hold."""
    lifted = frozenset(sources)
    return [
        LiftHold(identity_id=identity.id, kind=kind, source_account_id=hold.source_account_id)
        for identity in case.known.identities.values()
        if identity.id != keep
        for hold in identity.holds
        if hold.kind is kind and hold.source_account_id in lifted
    ]


def release_active(case: Case, account: AccountFacts) -> list[Change]:
    """Row 15: its source says that the account is active, so its own hold is lifted, also one that waits for a link."""
    changes = release(case, HoldKind.SCIM, [account.id])
    if account.identity_id is None and HoldKind.SCIM in case.known.carried:
        changes.append(LiftCarried(account_id=account.id, kind=HoldKind.SCIM))
    return changes


def release_missing(case: Case, account: AccountFacts) -> list[Change]:
    """Row 26: listed again, by a roster that does not say who is active."""
    return [
        LiftHold(identity_id=identity.id, kind=hold.kind, source_account_id=account.id)
        for identity in case.known.identities.values()
        for hold in identity.holds
        if hold.as_missing and hold.source_account_id == account.id
    ]


def link(
    case: Case,
    account: AccountFacts,
    identity: IdentityFacts,
    rule: Rule,
    evidence: Document,
    accounts: Iterable[AccountFacts] | None = None,
) -> list[Change]:
    """Tie a waiting account to its identity: its hold moves there, off everybody who was only a suspect.

    The identity shows `accounts`: with none given, its own and this one.
    """
    if accounts is None:
        accounts = accounts_with(identity, replace(account, identity_id=identity.id))
    kinds = held_by(case, account)
    return [
        LinkAccount(account_id=account.id, identity_id=identity.id, rule=rule, evidence=evidence),
        *show(identity, accounts),
        *release(case, HoldKind.SCIM, [account.id], keep=identity.id if HoldKind.SCIM in kinds else None),
        *(
            change
            for kind in kinds
            for change in suspend(identity, kind, account.id, _reason_to_hold(account, kind))
        ),
    ]


def fold(case: Case, found: Duplicate, identity_id: UUID) -> tuple[AccountFacts, list[Change]]:
    """Row 36: (the account that is left, what that takes). The subject moves onto it, and SCIM has confirmed the
    person, so what the login's account held is answered."""
    login, pushed = found.login, found.pushed
    kept = replace(
        pushed,
        subject=pushed.subject or bindable(login.subject),
        assertion=pushed.assertion or login.assertion,
    )
    changes: list[Change] = [
        # First: the database lets two live accounts of a connection share no subject.
        DeleteAccount(account_id=login.id, identity_id=identity_id),
        HandOverGroups(account_id=login.id, heir_id=pushed.id),
        *update(pushed, kept),
        *release(case, HoldKind.EXPIRY, [login.id]),
        *release(case, HoldKind.SCIM, [login.id]),
    ]
    if fold_name(login.user_name) != fold_name(pushed.user_name):
        changes.append(
            AddAlias(account_id=kept.id, identity_id=identity_id, kind="user_name", value=login.user_name)
        )
    return kept, changes


def held_by(case: Case, account: AccountFacts) -> list[HoldKind]:
    """What a waiting account holds whomever it is linked to by: it is inactive, or held the one it was taken off."""
    kinds = set(case.known.carried)
    if not account.active:
        kinds.add(HoldKind.SCIM)
    if account.confirmed:
        kinds.discard(HoldKind.EXPIRY)
    return sorted(kinds)


def holds_of_own(case: Case, account: AccountFacts, identity_id: UUID) -> list[Change]:
    """The same on an identity that is made for it."""
    return [
        PlaceHold(
            identity_id=identity_id,
            kind=kind,
            source_account_id=account.id,
            reason=_reason_to_hold(account, kind),
        )
        for kind in held_by(case, account)
    ]


def _reason_to_hold(account: AccountFacts, kind: HoldKind) -> str:
    return "linked while inactive" if kind is HoldKind.SCIM and not account.active else "held before its link"


def renames(before: AccountFacts, after: AccountFacts) -> list[Change]:
    """Old names and keys, kept for people who look somebody up."""
    old = [("email", email) for email in before.emails if email not in after.emails]
    if fold_name(before.user_name) != fold_name(after.user_name):
        old.insert(0, ("user_name", before.user_name))
    if before.external_id and before.external_id != after.external_id:
        old.append(("external_id", before.external_id))
    return [
        AddAlias(account_id=after.id, identity_id=after.identity_id, kind=kind, value=value)
        for kind, value in old
    ]


def doubts(case: Case, before: AccountFacts, after: AccountFacts) -> list[Change]:
    """What a person should look at when an account changes: a moved domain, a moved key, a name like another's."""
    changes: list[Change] = []
    if before.resource.get("emails") != after.resource.get("emails"):
        was, now = (domain_of(_shown_email(account)) for account in (before, after))
        if was and now and was != now:
            changes += finding(case, FindingKind.EMAIL_DOMAIN_CHANGED, Severity.MEDIUM, after, said=now)
    if before.external_id and before.external_id != after.external_id and bindable(before.subject):
        key = after.external_id or "none"
        changes += finding(case, FindingKind.EXTERNAL_ID_CHANGED, Severity.MEDIUM, after, said=key)
    if fold_name(before.user_name) != fold_name(after.user_name):
        changes += _look_alikes(case, after)
    return changes


def _look_alikes(case: Case, account: AccountFacts) -> list[Change]:
    """Attack: somebody takes a name that looks like another's, and is taken for that one where names are read.

    The nightly look asks the same question where the two score enough (`mark`): it is asked once.
    """
    others = looking_like(case.known, account)
    identity = case.known.identities.get(account.identity_id) if account.identity_id else None
    if identity is None:
        if not others:
            return []
        return finding(
            case,
            FindingKind.LOOK_ALIKE,
            Severity.MEDIUM,
            account,
            candidates=tuple(other.id for other in others),
            evidence=correlate(case.known, case.observation, case.policy).evidence(),
        )
    changes: list[Change] = []
    renamed = replace(identity, accounts=tuple(accounts_with(identity, account)))
    for other in others:
        if other.protected:
            changes += finding(
                case, FindingKind.PROTECTED_MATCH, Severity.HIGH, account, candidates=(other.id,)
            )
            continue
        one, two = sorted((identity.id, other.id))
        score = likeness(renamed, other, case.observation.at, case.policy.domains)
        changes.append(
            OpenFinding(
                kind=FindingKind.DUPLICATE_IDENTITIES.value,
                severity=Severity.MEDIUM,
                account_id=None,
                identity_id=one,
                candidates=(two,),
                evidence=score.as_document(),
                mark=f"{one}:{two}",
                parts=score.in_favour,
            )
        )
    return changes


def finding(
    case: Case,
    kind: FindingKind,
    severity: Severity,
    account: AccountFacts | None = None,
    *,
    account_id: UUID | None = None,
    identity_id: UUID | None = None,
    candidates: tuple[UUID, ...] = (),
    evidence: Document = NO_EVIDENCE,
    said: str = "",
) -> list[Change]:
    """A doubtful case for a person, unless it was put to one before. `account_id` is that of one that has ended.

    Whether `said` was answered is known by its digest alone, to whoever carries the decision out.
    """
    account_id = account.id if account else account_id
    about = identity_id or (account.identity_id if account else None) or next(iter(candidates), None)
    # An account that had no person when it was asked about may have one by now.
    whom = {about, account_id} - {None}
    if not said and any((kind.value, one, case_of(evidence)) in case.known.remembered for one in whom):
        return []
    return [
        OpenFinding(
            kind=kind.value,
            severity=severity,
            account_id=account_id,
            identity_id=about,
            candidates=candidates,
            evidence=evidence,
            said=said,
        )
    ]


def stamped(resource: Document, active: bool, external_id: str | None) -> dict[str, Any]:
    """The document says what the columns say, so that a client reads back what a look-up finds.

    A client may remove `active`: then it is not read back, and the account stays as active as it was.
    """
    said = dict(resource)
    if "active" in said:
        said["active"] = active
    if external_id:
        said["externalId"] = external_id
    else:
        said.pop("externalId", None)
    return said


def _shown_email(account: AccountFacts) -> str:
    return profile_of_resource(account.resource).email


def needed(value: T | None, name: str) -> T:
    """What the caller promised to give; its absence is no outcome but a broken promise."""
    if value is None:
        raise ValueError(f"no {name} to decide with")
    return value
