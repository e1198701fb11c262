"""Names where an observation finds the hub. Knows no reaction: it only reads what is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from .correlate import NOBODY, Correlation, Match, correlate, correlate_returning
from .duplicates import contradicts, duplicate, duplicates
from .keys import domain_of
from .placeholders import is_nobodys
from .policy import Jit, Policy, Switch
from .quick import quick
from .reasons import FindingKind, Reason
from .types import (
    PROFILE_FIELDS,
    AccountFacts,
    Channel,
    HoldKind,
    IdentityFacts,
    Intent,
    Known,
    Mismatch,
    Observation,
    Rule,
    Situation,
    TombstoneFacts,
)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A named situation with what named it, so that the reaction does not look for it a second time.

    `account` is the live account that answers, `other` the one that contradicts it, `tombstone` that of a
    leaver who is not known to be the same person. `reason` and `finding` are set where a situation refuses
    for more than one cause.
    """

    observation: Observation
    known: Known
    policy: Policy
    situation: Situation
    account: AccountFacts | None = None
    other: AccountFacts | None = None
    tombstone: TombstoneFacts | None = None
    correlation: Correlation = NOBODY
    reason: Reason | None = None
    finding: FindingKind | None = None
    missing: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)
    """What a new account needs and the assertion does not carry well: attribute -> what is wrong with it."""
    mismatch: Mismatch | None = None

    @property
    def identity(self) -> IdentityFacts | None:
        """The identity that the act is addressed to, else that of the account that answers."""
        identity_id = self.observation.target_identity_id
        if identity_id is None and self.account:
            identity_id = self.account.identity_id
        return self.known.identities.get(identity_id) if identity_id else None


KEPT_KEYS = frozenset({"external_id", "subject"})
"""By these a tombstone speaks of a person; by its name it may speak of whoever has the name now."""

Naming = Callable[[Known, Observation, Policy], Case]


def name_situation(known: Known, observation: Observation, policy: Policy) -> Case:
    naming = NAMINGS.get((observation.channel, observation.intent))
    if naming is None:
        return Case(observation=observation, known=known, policy=policy, situation=Situation.UNUSABLE)
    return _with_free_values(naming(known, observation, policy))


def _with_free_values(case: Case) -> Case:
    """A value that is unique in its connection belongs to its first owner. A deactivation is obeyed all the same."""
    if not case.known.holders or case.observation.intent is Intent.DISABLE or case.reason is not None:
        return case
    own = case.account.id if case.account else None
    taken = sorted(key for key, holder in case.known.holders.items() if holder != own)
    if not taken:
        return case
    return replace(
        case,
        situation=Situation.COLLISION,
        reason=Reason.ACCOUNT_VALUE_TAKEN,
        missing=taken[0].partition("=")[0],
    )


def scim_create(known: Known, observation: Observation, policy: Policy) -> Case:
    """A POST: live accounts are matched first; a tombstone speaks only when none exists."""
    keyed, asserted, named = known.by_external_id, known.by_asserted_key, known.by_user_name

    case = partial(Case, known=known, observation=observation, policy=policy)

    if keyed:
        # Whose key says nothing may be anybody: the POST is another person's as likely as not.
        wakes = (
            not keyed.active
            and observation.active is not False
            and not is_nobodys(observation.external_id or "")
        )
        if wakes and named and named.id != keyed.id:
            return case(situation=Situation.COLLISION, account=named, reason=Reason.ACCOUNT_USER_NAME_TAKEN)
        if wakes:
            return case(situation=Situation.INACTIVE, account=keyed)
        return case(situation=Situation.COLLISION, account=keyed, reason=Reason.ACCOUNT_EXTERNAL_ID_TAKEN)
    if named and (named.confirmed or (asserted and asserted.id != named.id)):
        return case(
            situation=Situation.COLLISION,
            account=named,
            reason=Reason.ACCOUNT_USER_NAME_TAKEN,
        )
    if named and contradicts(named, observation.external_id):
        # A recycled userName must not hand a leaver's account to the joiner.
        return case(
            situation=Situation.COLLISION,
            account=named,
            reason=Reason.ACCOUNT_USER_NAME_TAKEN,
            finding=FindingKind.KEY_CONTRADICTS,
        )
    if adoptable := asserted or named:
        return case(situation=Situation.ADOPTABLE, account=adoptable)
    return _newcomer(known, observation, policy)


def scim_write(known: Known, observation: Observation, policy: Policy) -> Case:
    """PUT, PATCH and what they say about `active`, addressed by id."""
    account = known.addressed

    case = partial(Case, known=known, observation=observation, policy=policy, account=account)

    if account is None:
        return case(situation=Situation.UNMATCHED, reason=Reason.ACCOUNT_UNKNOWN)
    if observation.expected_version not in (None, account.version):
        return case(situation=Situation.STALE)
    if known.by_external_id and known.by_external_id.id != account.id:
        return case(
            situation=Situation.COLLISION, other=known.by_external_id, reason=Reason.ACCOUNT_EXTERNAL_ID_TAKEN
        )
    if known.by_user_name and known.by_user_name.id != account.id:
        return case(
            situation=Situation.COLLISION, other=known.by_user_name, reason=Reason.ACCOUNT_USER_NAME_TAKEN
        )
    if _is_protected(known, account):
        return case(situation=Situation.PROTECTED)
    first_key = not account.external_id and observation.intent is not Intent.DISABLE
    if first_key and contradicts(account, observation.external_id):
        # Attack: a login takes the name of somebody who will be hired; her IdP's look-up finds it, and its PATCH
        # would give her account to him. A deactivation is obeyed whomever it means.
        return case(
            situation=Situation.COLLISION,
            reason=Reason.ACCOUNT_USER_NAME_TAKEN,
            finding=FindingKind.KEY_CONTRADICTS,
        )
    if not account.confirmed:
        return case(situation=Situation.ADOPTABLE)
    return case(situation=Situation.LINKED if account.identity_id else Situation.WAITING)


def scim_delete(known: Known, observation: Observation, policy: Policy) -> Case:
    account = known.addressed

    case = partial(Case, known=known, observation=observation, policy=policy, account=account)

    if account is None:
        return case(situation=Situation.UNMATCHED, reason=Reason.ACCOUNT_UNKNOWN)
    if observation.expected_version not in (None, account.version):
        return case(situation=Situation.STALE)
    if _is_protected(known, account):
        return case(situation=Situation.PROTECTED)
    return case(situation=Situation.LINKED if account.identity_id else Situation.WAITING)


def login(known: Known, observation: Observation, policy: Policy) -> Case:
    """A verified assertion. Keys answer before names, live accounts before tombstones before candidates."""

    case = partial(Case, known=known, observation=observation, policy=policy)

    subject = observation.subject
    if (subject is None or subject.is_transient) and not (observation.external_id or observation.login_names):
        return case(situation=Situation.UNUSABLE, reason=Reason.LOGIN_SUBJECT_TRANSIENT)
    if contradiction := _contradiction(known, observation):
        reason, finding, contradicted, other = contradiction
        situation = Situation.DISPUTED if reason is Reason.LOGIN_DISPUTED else Situation.COLLISION
        return case(situation=situation, account=contradicted, other=other, reason=reason, finding=finding)
    account = _answering(known)
    if account is None:
        return _first_login(known, observation, policy)
    if account.identity_id is None:
        return case(situation=Situation.WAITING, account=account)
    if _is_protected(known, account):
        return case(situation=Situation.PROTECTED, account=account)
    enabled = known.identities[account.identity_id].enabled
    return case(situation=Situation.LINKED if enabled else Situation.HELD, account=account)


def roster_update(known: Known, observation: Observation, policy: Policy) -> Case:
    """A run looks at one account again, or a roster speaks of it."""
    if observation.as_of is not None:
        return roster_row(known, observation, policy)
    return Case(
        known=known,
        observation=observation,
        policy=policy,
        situation=_stored(known),
        account=known.addressed,
        reason=_unknown(known),
    )


def roster_absent(known: Known, observation: Observation, policy: Policy) -> Case:
    """A run misses one account at its source: nobody confirmed it, or complete listings left it out."""
    situation, account = _stored(known), known.addressed
    if account and _is_newer(account, observation):
        situation = Situation.STALE
    elif situation is Situation.LINKED and account and not account.confirmed:
        situation = Situation.ADOPTABLE
    return Case(
        known=known,
        observation=observation,
        policy=policy,
        situation=situation,
        account=account,
        reason=_unknown(known),
    )


def roster_disable(known: Known, observation: Observation, policy: Policy) -> Case:
    """A run looks at one identity's sessions, or a roster says that an account is inactive."""
    name = one_identity if observation.as_of is None else roster_row
    return name(known, observation, policy)


def roster_row(known: Known, observation: Observation, policy: Policy) -> Case:
    """One row of a complete roster: the live account by externalId, else by userName; never by e-mail.

    Whatever the row was taken for when the difference was found, it is matched anew.
    """
    keyed, asserted, named = known.by_external_id, known.by_asserted_key, known.by_user_name
    account = keyed or asserted or named

    case = partial(Case, known=known, observation=observation, policy=policy, account=account)

    if account is None and observation.intent is Intent.CREATE:
        return _listed_newcomer(known, observation, policy)
    if account is None:
        return case(situation=Situation.UNMATCHED, reason=Reason.ACCOUNT_UNKNOWN)
    if _is_newer(account, observation):
        return case(situation=Situation.STALE)
    other = named if named and named.id != account.id else None
    # A key tells for certain whom to close, whoever else has the name.
    if other and not (keyed and observation.active is False):
        return case(
            situation=Situation.COLLISION,
            other=other,
            reason=Reason.ACCOUNT_USER_NAME_TAKEN,
            finding=FindingKind.DUPLICATE,
        )
    if account is named and (
        account.id == observation.of_another_row or contradicts(account, observation.external_id)
    ):
        return case(
            situation=Situation.COLLISION,
            reason=Reason.ACCOUNT_USER_NAME_TAKEN,
            finding=FindingKind.KEY_CONTRADICTS,
        )
    if _is_protected(known, account):
        return case(situation=Situation.PROTECTED)
    if not account.confirmed:
        return case(situation=Situation.ADOPTABLE, other=other)
    return case(situation=Situation.LINKED if account.identity_id else Situation.WAITING, other=other)


def one_identity(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator holds one identity, lifts that or says what it shows; or a run looks at its sessions."""
    case = Case(
        known=known,
        observation=observation,
        policy=policy,
        situation=Situation.UNMATCHED,
        account=known.addressed,
    )
    if case.identity is None:
        return replace(case, account=None, reason=Reason.IDENTITY_UNKNOWN)
    if case.identity.merged_into and observation.channel is Channel.ADMIN:
        # A hold on whoever ended in somebody else would keep nobody out.
        return replace(case, situation=Situation.COLLISION, reason=Reason.IDENTITY_MERGED_AWAY)
    return replace(case, situation=Situation.LINKED if case.identity.enabled else Situation.HELD)


def admin_end_override(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator, or its time, ends an override: also of somebody who ended in another one meanwhile."""
    case = Case(known=known, observation=observation, policy=policy, situation=Situation.UNMATCHED)
    if case.identity is None:
        return replace(case, reason=Reason.IDENTITY_UNKNOWN)
    return replace(case, situation=Situation.LINKED if case.identity.enabled else Situation.HELD)


OF_ACCOUNTS = frozenset({HoldKind.SCIM, HoldKind.EXPIRY})
"""Holds that an account places, and takes with it. Any other one is the identity's own."""


def admin_link(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator says whose account this is, or that a finding needs nothing."""
    account, target = known.addressed, observation.target_identity_id

    case = partial(Case, known=known, observation=observation, policy=policy, account=account)

    if account is None:
        if target or observation.finding_id is None:
            return case(situation=Situation.UNMATCHED, reason=Reason.ACCOUNT_UNKNOWN)
        return case(situation=Situation.LINKED)
    if target is None:
        return case(situation=Situation.LINKED if account.identity_id else Situation.WAITING)
    identity = known.identities.get(target)
    if identity is None:
        return case(situation=Situation.UNMATCHED, reason=Reason.IDENTITY_UNKNOWN)
    if identity.protected:
        return case(situation=Situation.PROTECTED, reason=Reason.IDENTITY_PROTECTED)
    if identity.merged_into:
        return case(situation=Situation.COLLISION, reason=Reason.IDENTITY_MERGED_AWAY)
    if account.identity_id == target:
        return case(situation=Situation.LINKED)
    if account.identity_id != observation.former_identity_id:
        return case(situation=Situation.COLLISION, reason=Reason.ACCOUNT_ALREADY_LINKED)
    if account.identity_id and _held_by_hand(known, account.identity_id):
        return case(situation=Situation.HELD, reason=Reason.ACCOUNT_OF_HELD)
    twins = [a for a in identity.accounts if a.connection_id == account.connection_id]
    if twins and not (observation.fold_duplicate and len(twins) == 1 and duplicate(account, twins[0])):
        return case(situation=Situation.COLLISION, other=twins[0], reason=Reason.ACCOUNT_SAME_CONNECTION)
    return case(
        situation=Situation.MISPLACED if account.identity_id else Situation.WAITING,
        other=next(iter(twins), None),
    )


def admin_unlink(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator says that an account is not its identity's."""
    account = known.addressed

    case = partial(Case, known=known, observation=observation, policy=policy, account=account)

    if account is None:
        return case(situation=Situation.UNMATCHED, reason=Reason.ACCOUNT_UNKNOWN)
    if account.identity_id is None:
        return case(situation=Situation.WAITING)
    if observation.former_identity_id not in (None, account.identity_id):
        return case(situation=Situation.COLLISION, reason=Reason.ACCOUNT_ALREADY_LINKED)
    if _held_by_hand(known, account.identity_id):
        return case(situation=Situation.HELD, reason=Reason.ACCOUNT_OF_HELD)
    return case(situation=Situation.LINKED)


def admin_unbind(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator says that an account is to be bound anew."""
    account = known.addressed

    case = partial(Case, known=known, observation=observation, policy=policy, account=account)

    if account is None:
        return case(situation=Situation.UNMATCHED, reason=Reason.ACCOUNT_UNKNOWN)
    if account.identity_id is None:
        return case(situation=Situation.WAITING)
    if _is_protected(known, account):
        return case(situation=Situation.PROTECTED, reason=Reason.IDENTITY_PROTECTED)
    return case(situation=Situation.LINKED)


def admin_delete(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator says that an inactive account is in the way of one that is asked for."""
    case = admin_unbind(known, observation, policy)
    if case.account and case.account.active and case.reason is None:
        # It may have come back since somebody looked.
        return replace(case, situation=Situation.COLLISION, reason=Reason.ACCOUNT_NOT_INACTIVE)
    return case


def admin_merge(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator says that two identities are one person."""

    case = partial(Case, known=known, observation=observation, policy=policy)

    winner, loser = _two(known, observation)
    if winner is None or loser is None:
        return case(situation=Situation.UNMATCHED, reason=Reason.IDENTITY_UNKNOWN)
    if winner.id == loser.id:
        return case(situation=Situation.COLLISION, reason=Reason.IDENTITY_ITSELF)
    if winner.merged_into or loser.merged_into:
        return case(situation=Situation.COLLISION, reason=Reason.IDENTITY_MERGED_AWAY)
    if winner.protected or loser.protected:
        return case(situation=Situation.PROTECTED, reason=Reason.IDENTITY_PROTECTED)
    if loser.local:
        return case(situation=Situation.PROTECTED, reason=Reason.IDENTITY_SIGNS_IN_HERE)
    if duplicates(winner.accounts, loser.accounts) is None:
        return case(situation=Situation.COLLISION, reason=Reason.IDENTITY_ACCOUNTS_COLLIDE)
    return case(situation=Situation.LINKED if winner.enabled else Situation.HELD)


def admin_unmerge(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator says that two identities which were merged are two people."""

    case = partial(Case, known=known, observation=observation, policy=policy)

    winner, loser = _two(known, observation)
    if winner is None or loser is None:
        return case(situation=Situation.UNMATCHED, reason=Reason.IDENTITY_UNKNOWN)
    if loser.merged_into != winner.id:
        return case(situation=Situation.COLLISION, reason=Reason.IDENTITY_NOT_MERGED)
    if winner.merged_into:
        # The later merge has moved what the earlier one had; it is taken back first.
        return case(situation=Situation.COLLISION, reason=Reason.IDENTITY_MERGED_AWAY)
    return case(situation=Situation.LINKED if winner.enabled else Situation.HELD)


def _two(known: Known, observation: Observation) -> tuple[IdentityFacts | None, IdentityFacts | None]:
    """Of a merge: (the identity that stays, the one that ends in it)."""
    named = (observation.target_identity_id, observation.former_identity_id)
    winner, loser = (known.identities.get(key) if key else None for key in named)
    return winner, loser


def _held_by_hand(known: Known, identity_id: UUID) -> bool:
    """Attack: whoever is held for a stolen laptop waits for the account to be tied to somebody who is not."""
    return any(hold.kind not in OF_ACCOUNTS for hold in known.identities[identity_id].holds)


def admin_undo(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator takes back what a run did to an account, or to an identity."""
    case = Case(
        known=known,
        observation=observation,
        policy=policy,
        situation=Situation.UNMATCHED,
        account=known.addressed,
    )
    if observation.account_id and case.account is None:
        return replace(case, reason=Reason.ACCOUNT_UNKNOWN)
    if observation.target_identity_id and case.identity is None:
        return replace(case, account=None, reason=Reason.IDENTITY_UNKNOWN)
    return replace(case, situation=Situation.LINKED if case.identity else Situation.WAITING)


def admin_separate(known: Known, observation: Observation, policy: Policy) -> Case:
    """An administrator says that a waiting account is nobody whom the hub knows."""
    account = known.addressed
    if account is None:
        return Case(
            known=known,
            observation=observation,
            policy=policy,
            situation=Situation.UNMATCHED,
            reason=Reason.ACCOUNT_UNKNOWN,
        )
    situation = Situation.LINKED if account.identity_id else Situation.WAITING
    return Case(known=known, observation=observation, policy=policy, situation=situation, account=account)


NAMINGS: dict[tuple[Channel, Intent], Naming] = {
    (Channel.SCIM, Intent.CREATE): scim_create,
    (Channel.SCIM, Intent.UPDATE): scim_write,
    (Channel.SCIM, Intent.ENABLE): scim_write,
    (Channel.SCIM, Intent.DISABLE): scim_write,
    (Channel.SCIM, Intent.DELETE): scim_delete,
    (Channel.SAML, Intent.AUTHENTICATE): login,
    (Channel.ROSTER, Intent.CREATE): roster_row,
    (Channel.ROSTER, Intent.UPDATE): roster_update,
    (Channel.ROSTER, Intent.ENABLE): roster_row,
    (Channel.ROSTER, Intent.DISABLE): roster_disable,
    (Channel.ROSTER, Intent.ABSENT): roster_absent,
    (Channel.ADMIN, Intent.CREATE): admin_separate,
    (Channel.ADMIN, Intent.UPDATE): admin_link,
    (Channel.ADMIN, Intent.UNLINK): admin_unlink,
    (Channel.ADMIN, Intent.UNBIND): admin_unbind,
    (Channel.ADMIN, Intent.DELETE): admin_delete,
    (Channel.ADMIN, Intent.MERGE): admin_merge,
    (Channel.ADMIN, Intent.UNMERGE): admin_unmerge,
    (Channel.ADMIN, Intent.UNDO): admin_undo,
    (Channel.ADMIN, Intent.DISABLE): one_identity,
    (Channel.ADMIN, Intent.ENABLE): one_identity,
    (Channel.ADMIN, Intent.OVERRIDE): one_identity,
    (Channel.ADMIN, Intent.END_OVERRIDE): admin_end_override,
}


def _newcomer(known: Known, observation: Observation, policy: Policy) -> Case:
    """A POST that no live account of the connection answers."""
    if not known.tombstones and not known.candidates:
        return Case(observation=observation, known=known, policy=policy, situation=Situation.UNMATCHED)
    tombstone = _youngest(known, KEPT_KEYS)
    if tombstone and observation.at - tombstone.deleted_at <= policy.retention:
        return _returning(known, observation, policy, tombstone)
    return _new_here(known, observation, policy)


def _new_here(known: Known, observation: Observation, policy: Policy) -> Case:
    """Neither a live account nor a tombstone says who it is: its other keys may."""
    gone = [t for t in known.tombstones if t.matched]
    # The identity behind a recycled name is what the finding asks about, never a candidate for a link.
    theirs = frozenset(t.identity_id for t in gone if t.identity_id)
    correlation = correlate(known, observation, policy, without=theirs)
    situation = _SITUATION_OF_MATCH[correlation.match]
    if gone and situation is Situation.UNMATCHED:
        situation = Situation.RECYCLED
    youngest = max(gone, key=lambda t: t.deleted_at, default=None)
    return Case(
        known=known,
        observation=observation,
        policy=policy,
        situation=situation,
        tombstone=youngest,
        correlation=correlation,
    )


def _listed_newcomer(known: Known, observation: Observation, policy: Policy) -> Case:
    """A row that no live account of the connection answers.

    A roster without keys has only names to say whom it means; and one that is older than the end of an account may
    mean nobody else.
    """
    kept = KEPT_KEYS if observation.external_id else KEPT_KEYS | {"user_name"}
    ended = [
        tombstone
        for tombstone in known.tombstones
        if (tombstone.matched & kept and observation.at - tombstone.deleted_at <= policy.retention)
        or (tombstone.matched and _is_after(tombstone.deleted_at, observation))
    ]
    if ended:
        return Case(
            known=known,
            observation=observation,
            policy=policy,
            situation=Situation.DELETED,
            tombstone=max(ended, key=lambda t: t.deleted_at),
        )
    return _new_here(known, observation, policy)


def _returning(known: Known, observation: Observation, policy: Policy, tombstone: TombstoneFacts) -> Case:
    """A POST after DELETE with the same key: the same person, unless a veto says otherwise."""
    identity = known.identities.get(tombstone.identity_id) if tombstone.identity_id else None
    if identity is None:
        correlation = correlate(known, observation, policy)
        situation = _SITUATION_OF_MATCH[correlation.match]
    else:
        rule = Rule.EXTERNAL_ID if "external_id" in tombstone.matched else Rule.SUBJECT
        correlation = correlate_returning(identity, rule, observation)
        situation = Situation.DELETED if correlation.rule else _SITUATION_OF_MATCH[correlation.match]
    return Case(
        known=known,
        observation=observation,
        policy=policy,
        situation=situation,
        correlation=correlation,
    )


def _first_login(known: Known, observation: Observation, policy: Policy) -> Case:
    """A login that no live account of the connection answers."""
    correlation = correlate(known, observation, policy)

    case = partial(Case, known=known, observation=observation, policy=policy, correlation=correlation)

    if tombstone := _youngest(known, KEPT_KEYS | {"user_name"}):
        return case(situation=Situation.DELETED, tombstone=tombstone)
    if correlation.match is Match.PROTECTED:
        return case(situation=Situation.PROTECTED)
    candidates = correlation.identities
    if candidates and all(identity.holds for identity in candidates):
        return case(situation=Situation.HELD)
    situation = _SITUATION_OF_MATCH[correlation.match]
    may_create = policy.jit is Jit.CREATE
    may_link = policy.jit is Jit.EXISTING and situation is Situation.UNLINKED
    if not (may_create or may_link):
        return case(situation=situation, reason=Reason.LOGIN_NO_ACCOUNT)
    if Switch.JIT_CREATE in policy.stopped:
        return case(situation=situation, reason=Reason.LOGIN_CREATION_STOPPED)
    if faults := _faults(observation, policy):
        return case(situation=Situation.UNUSABLE, reason=Reason.LOGIN_PROFILE_INCOMPLETE, faults=faults)
    for reason, mismatch in (
        (
            Reason.LOGIN_DOMAIN_NOT_ALLOWED,
            _foreign_domain(observation, policy, creates=situation is not Situation.UNLINKED),
        ),
        (Reason.LOGIN_GROUP_NOT_ALLOWED, _other_groups(observation, policy)),
        (Reason.LOGIN_ATTRIBUTE_NOT_ALLOWED, _other_value(observation, policy)),
    ):
        if mismatch:
            return case(situation=Situation.UNUSABLE, reason=reason, mismatch=mismatch)
    if known.name_holder:
        # A persistent NameID that is nobody's key, and somebody's name: a person has to say whether it is hers.
        return case(
            situation=Situation.DISPUTED,
            account=known.name_holder,
            reason=Reason.LOGIN_DISPUTED,
            finding=FindingKind.LOGIN_DISPUTED,
        )
    return case(situation=situation)


TELLING = ("name_id", "external_id", "user_name", "email")
"""What an account is found by. One that is there and wrong makes no account, whether it is required or not."""


def _faults(observation: Observation, policy: Policy) -> dict[str, str]:
    """Each attribute that a new account needs and the assertion does not carry well, with what is wrong with it."""
    said = observation.faults
    faults = {name: said[name] for name in TELLING if name in said}
    if not observation.user_name:
        faults.setdefault("user_name", "missing")
    for name in policy.required_attributes:
        if not getattr(observation.profile, name, ""):
            faults.setdefault(name, said.get(name, "missing"))
    if any(not domain_of(email) for email in {observation.profile.email, *observation.emails} - {""}):
        faults.setdefault("email", "malformed")
    return faults


def _foreign_domain(observation: Observation, policy: Policy, *, creates: bool) -> Mismatch | None:
    """Why no granted domain vouches for a first login: it has to bring an e-mail, and none from elsewhere.

    Only a link that brings none may do without, where the connection was granted no domain to keep to.
    """
    emails = sorted({observation.profile.email, *observation.emails} - {""})
    if not (creates or emails or policy.domains):
        return None
    # "All of none" would let anybody in who leaves the e-mail out.
    if emails and all(domain_of(email) in policy.domains for email in emails):
        return None
    expected = tuple(sorted(policy.domains)) or ("a domain that is granted to the connection; none is",)
    return Mismatch(attribute="email", expected=expected, found=tuple(emails))


def _other_groups(observation: Observation, policy: Policy) -> Mismatch | None:
    if not policy.jit_groups or policy.jit_groups.intersection(observation.groups):
        return None
    return Mismatch(
        attribute="groups", expected=tuple(sorted(policy.jit_groups)), found=tuple(observation.groups)
    )


def _other_value(observation: Observation, policy: Policy) -> Mismatch | None:
    """The first attribute of the limits of which the assertion says none of the values that will do."""
    for name in sorted(policy.jit_attributes):
        allowed = policy.jit_attributes[name]
        if name in PROFILE_FIELDS:
            said = tuple(filter(None, [getattr(observation.profile, name)]))
        else:
            said = tuple(observation.attributes.get(name, ()))
        if not allowed.intersection(said):
            return Mismatch(attribute=name, expected=tuple(sorted(allowed)), found=said)
    return None


def _contradiction(
    known: Known, observation: Observation
) -> tuple[Reason, FindingKind, AccountFacts, AccountFacts | None] | None:
    """Two keys of one assertion that do not speak of one account (rows 5 and 22)."""
    recycled = Reason.LOGIN_NAME_ID_RECYCLED, FindingKind.NAME_ID_RECYCLED
    changed = Reason.LOGIN_NAME_ID_CHANGED, FindingKind.NAME_ID_CHANGED
    disputed = Reason.LOGIN_DISPUTED, FindingKind.LOGIN_DISPUTED
    bound, named = known.by_subject, known.by_user_name
    if bound and contradicts(bound, observation.external_id):
        return *recycled, bound, known.by_external_id
    hits = [bound, known.by_external_id, known.by_subject_as_external_id, known.by_asserted_key]
    keyed = [hit for hit in hits if hit]
    if different := next((hit for hit in keyed if hit.id != keyed[0].id), None):
        return *disputed, keyed[0], different
    if keyed:
        account = keyed[0]
        # Once a subject is bound a name no longer speaks: a rename may reach the assertion before SCIM.
        if named and not bound and (named.id != account.id or known.name_hits > 1):
            return *disputed, account, named
        if not bound and _bound_to_another(account, observation):
            return *changed, account, None
        return None
    if named is None:
        return None
    if known.name_hits > 1:
        return *disputed, named, None
    if contradicts(named, observation.external_id):
        return *recycled, named, None
    # Row 5: a name binds only where no subject is bound, so a name cannot take over what a key holds.
    if named.subject and named.subject.is_key:
        return *changed, named, None
    return None


def _bound_to_another(account: AccountFacts, observation: Observation) -> bool:
    subject = observation.subject
    return bool(
        account.subject
        and account.subject.is_key
        and subject
        and subject.is_key
        and account.subject != subject
    )


def _answering(known: Known) -> AccountFacts | None:
    return (
        known.by_subject
        or known.by_external_id
        or known.by_subject_as_external_id
        or known.by_asserted_key
        or known.by_user_name
    )


def _stored(known: Known) -> Situation:
    account = known.addressed
    if account is None:
        return Situation.UNMATCHED
    if account.identity_id is None:
        return Situation.WAITING
    return Situation.PROTECTED if _is_protected(known, account) else Situation.LINKED


def _is_newer(account: AccountFacts, observation: Observation) -> bool:
    """Whether the account's IdP has spoken of it since the moment that the roster speaks of."""
    return account.confirmed and _is_after(account.speaks_of, observation)


def _is_after(moment: datetime, observation: Observation) -> bool:
    return observation.as_of is not None and moment > observation.as_of


def _unknown(known: Known) -> Reason | None:
    return None if known.addressed else Reason.ACCOUNT_UNKNOWN


def _is_protected(known: Known, account: AccountFacts) -> bool:
    return account.identity_id is not None and known.identities[account.identity_id].protected


def _youngest(known: Known, keys: frozenset[str]) -> TombstoneFacts | None:
    answering = (t for t in known.tombstones if t.matched & keys)
    return max(answering, key=lambda t: t.deleted_at, default=None)


_SITUATION_OF_MATCH = {
    Match.NONE: Situation.UNMATCHED,
    Match.STRONG: Situation.UNLINKED,
    Match.WEAK: Situation.WEAK,
    Match.DISPUTED: Situation.DISPUTED,
    Match.PROTECTED: Situation.PROTECTED,
}
