"""What follows when somebody signs in. Knows no SCIM request; it creates and refreshes, it never revives."""

from dataclasses import replace

from .answers import accepted, identity_of, protected_match, question, refuse, refused, with_keys
from .authority import profile_of_resource, shown_profile
from .effects import (
    accounts_with,
    bindable,
    creation,
    finding,
    jit_account,
    needed,
    show,
    signed_in,
    update,
)
from .keys import domain_of
from .policy import Switch
from .reasons import FindingKind, Reason
from .situations import Case
from .types import (
    AccountFacts,
    Change,
    CreateIdentity,
    Decision,
    HoldKind,
    Observation,
    PlaceHold,
    RecordLogin,
    Rule,
    Severity,
    Verdict,
)


def admit(case: Case) -> Decision:
    """Rows 5 and 12: a login may bind its subject and refresh attributes; it never lifts a hold.

    Where an administrator has stopped that, the person is admitted and nothing of the assertion is kept.
    """
    account = needed(case.account, "account")
    identity = needed(identity_of(case, account), "identity")
    record = RecordLogin(account_id=account.id, identity_id=identity.id)
    if Switch.JIT_UPDATE in case.policy.stopped:
        return accepted(case, Reason.LOGIN_ADMITTED, [record], account)
    after = signed_in(account, case.observation, case.policy)
    changes = [
        *update(account, after),
        *show(identity, accounts_with(identity, after)),
        *_moved_domain(case, account),
        record,
    ]
    first = after.subject != account.subject or account.last_login_at is None
    return accepted(case, Reason.LOGIN_ACCOUNT_BOUND if first else Reason.LOGIN_ADMITTED, changes, after)


def create_by_login(case: Case) -> Decision:
    """Row 2: the account is unconfirmed until SCIM says so, and has no privilege.

    Where it needs an approval, it is made with the hold that only an administrator lifts, and nobody gets in yet.
    """
    if case.reason:
        return refuse(case)
    identity_id = needed(case.observation.new_identity_id, "new_identity_id")
    account = jit_account(case.observation, case.policy, identity_id=identity_id)
    changes: list[Change] = [
        CreateIdentity(identity_id=identity_id, profile=shown_profile([account])),
        creation(account, rule=Rule.CREATED),
    ]
    if case.policy.jit_approval:
        changes += [
            PlaceHold(
                identity_id=identity_id,
                kind=HoldKind.APPROVAL,
                source_account_id=account.id,
                reason=Reason.LOGIN_APPROVAL_PENDING.value,
            ),
            *finding(case, FindingKind.APPROVAL_REQUESTED, Severity.MEDIUM, account),
        ]
        return Decision(
            verdict=Verdict.PENDING,
            situation=case.situation,
            reason=Reason.LOGIN_APPROVAL_PENDING.value,
            account_id=account.id,
            identity_id=identity_id,
            changes=tuple(changes),
        )
    changes.append(RecordLogin(account_id=account.id, identity_id=identity_id))
    return accepted(case, Reason.LOGIN_ACCOUNT_CREATED, changes, account)


def link_by_login(case: Case) -> Decision:
    """Row 7 for a login: a new account for the one identity that answers by a strong rule."""
    if case.reason:
        return refuse(case)
    identity = case.correlation.identity
    account = jit_account(case.observation, case.policy, identity_id=identity.id)
    changes: list[Change] = [
        creation(account, rule=case.correlation.rule, evidence=case.correlation.evidence()),
        *show(identity, accounts_with(identity, account)),
        RecordLogin(account_id=account.id, identity_id=identity.id),
    ]
    return accepted(case, Reason.LOGIN_ACCOUNT_LINKED, changes, account)


def wait_by_login(case: Case) -> Decision:
    """Rows 8 and 9 for a login: the account waits for its link, and nobody gets in by it."""
    if case.reason:
        return refuse(case)
    account = jit_account(case.observation, case.policy, identity_id=None)
    return Decision(
        verdict=Verdict.PENDING,
        situation=case.situation,
        reason=Reason.LOGIN_LINK_PENDING.value,
        account_id=account.id,
        changes=(creation(account, rule=None), *question(case, account)),
    )


def dispute_login(case: Case) -> Decision:
    """Row 5: keys of different accounts in one assertion are refused; several candidates wait (row 9)."""
    return refuse_contradiction(case) if case.account else wait_by_login(case)


def refuse_contradiction(case: Case) -> Decision:
    """Rows 5 and 22: an assertion that contradicts what is bound is refused, and put to a person."""
    account = needed(case.account, "account")
    evidence = {"account": str(account.id)}
    if case.other:
        evidence["other"] = str(case.other.id)
    kind = needed(case.finding, "finding")
    subject = bindable(case.observation.subject)
    # Another key that knocks is another case, whatever was said of the first one.
    said = " ".join(key for key in (subject.value if subject else "", case.observation.external_id) if key)
    decision = refused(
        case,
        needed(case.reason, "reason"),
        finding(case, kind, Severity.HIGH, account, evidence=evidence, said=said),
        **evidence,
    )
    if case.reason is Reason.LOGIN_DISPUTED:
        return with_keys(case, decision, expected="keys and names of one account")
    return replace(decision, found=_other_keys(case.observation, account))


def _other_keys(observation: Observation, account: AccountFacts) -> tuple[str, ...]:
    """What the assertion says of an account's keys, where the account has it otherwise."""
    said = observation.subject.value if observation.subject else ""
    bound = account.subject.value if account.subject else ""
    keys = (
        ("NameID", said, bound),
        ("externalId", observation.external_id or "", account.external_id or account.asserted_key or ""),
    )
    return tuple(
        f"{name} {came} where {known} was known"
        for name, came, known in keys
        if came and known and came != known
    )


def refuse_waiting(case: Case) -> Decision:
    """Row 8: the question was asked when the account came; asking again says nothing new."""
    return refused(case, Reason.LOGIN_LINK_PENDING, [])


def refuse_held(case: Case) -> Decision:
    """Row 14: before any row is written. Who waits for nothing but an approval is told so."""
    holds = case.identity.holds if case.identity else ()
    waits = bool(holds) and all(hold.kind is HoldKind.APPROVAL for hold in holds)
    return refused(case, Reason.LOGIN_APPROVAL_PENDING if waits else Reason.LOGIN_IDENTITY_HELD, [])


def refuse_deleted(case: Case) -> Decision:
    """Row 14 for a tombstone: no ghost is made of a leaver."""
    return refused(case, Reason.LOGIN_ACCOUNT_DELETED, [])


def refuse_protected_login(case: Case) -> Decision:
    """Row 30: no IdP signs anybody in as break-glass, and somebody should know that one tried."""
    return refused(case, Reason.LOGIN_PROTECTED, protected_match(case, case.account, by="login"))


def _moved_domain(case: Case, account: AccountFacts) -> list[Change]:
    """An assertion that speaks for the person moved the e-mail to another domain."""
    said = domain_of(case.observation.profile.email)
    shown = domain_of(profile_of_resource(account.resource).email)
    if account.confirmed or not said or not shown or said == shown:
        return []
    return finding(case, FindingKind.EMAIL_DOMAIN_CHANGED, Severity.MEDIUM, account, said=said)
