"""What follows when a run looks at stored facts again. Knows no roster file and no schedule."""

from dataclasses import replace

from .answers import accepted, identity_of, leave_identity
from .correlate import Match, correlate
from .effects import (
    finding,
    link,
    needed,
    suspend,
)
from .reasons import FindingKind, Reason
from .situations import Case
from .types import (
    MISSING,
    Decision,
    EndSessions,
    HoldKind,
    Severity,
)


def match_late(case: Case) -> Decision:
    """Row 7, later: what has arrived since may say whose account this is."""
    account = needed(case.account, "account")
    correlation = correlate(case.known, case.observation, case.policy)
    if correlation.match is not Match.STRONG:
        return accepted(case, Reason.ACCOUNT_UNCHANGED, [], account)
    identity, rule = correlation.identity, needed(correlation.rule, "rule")
    changes = link(case, account, identity, rule, correlation.evidence())
    return accepted(case, Reason.ACCOUNT_LINKED, changes, replace(account, identity_id=identity.id))


def leave_account(case: Case) -> Decision:
    return accepted(case, Reason.ACCOUNT_UNCHANGED, [], case.account)


def spare(case: Case) -> Decision:
    """A run misses the account of a break-glass or service identity, which it never holds: a person should know."""
    return accepted(case, Reason.IDENTITY_SPARED, [], case.account)


def end_sessions(case: Case) -> Decision:
    """Nobody who is not enabled keeps a session, however it came to be."""
    identity = needed(case.identity, "identity")
    if not identity.live_sessions:
        return leave_identity(case)
    return accepted(
        case, Reason.IDENTITY_SESSION_OF_HELD, [EndSessions(identity_id=identity.id)], None, identity
    )


def expire(case: Case) -> Decision:
    """Row 24: an account that nobody confirmed is held after its grace, never deleted."""
    account = needed(case.account, "account")
    identity = needed(identity_of(case, account), "identity")
    at, policy = case.observation.at, case.policy
    if policy.has_lifecycle_source:
        limit = policy.confirmed_by(at)
        over = limit is not None and account.created_at < limit
    else:
        over = at - (account.last_login_at or account.created_at) > policy.jit_idle_grace
    held = any(h.kind is HoldKind.EXPIRY and h.source_account_id == account.id for h in identity.holds)
    # Nobody can come in by it before somebody has decided, so there is nothing that a grace could end.
    waits = any(h.kind is HoldKind.APPROVAL for h in identity.holds)
    if held or waits or not over:
        return leave_account(case)
    changes = [
        *suspend(identity, HoldKind.EXPIRY, account.id, "not confirmed within its grace"),
        *finding(case, FindingKind.UNCONFIRMED, Severity.LOW, account),
    ]
    return accepted(case, Reason.ACCOUNT_EXPIRED, changes, account)


def hold_missing(case: Case) -> Decision:
    """Row 26: missing from complete rosters, which the run has proved."""
    account = needed(case.account, "account")
    identity = needed(identity_of(case, account), "identity")
    held = any(h.kind is HoldKind.SCIM and h.source_account_id == account.id for h in identity.holds)
    # An inactive account was closed by somebody else, whose word stands.
    if held or not account.active:
        return leave_account(case)
    changes = suspend(identity, HoldKind.SCIM, account.id, MISSING)
    return accepted(case, Reason.ACCOUNT_MISSING, changes, account)
