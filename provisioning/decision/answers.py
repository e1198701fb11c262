"""The forms that decisions take, and the questions they put to a person. Knows no situation's rule."""

from dataclasses import replace

from .correlate import Match
from .effects import finding, needed
from .reasons import FindingKind, Reason
from .situations import Case
from .types import AccountFacts, Change, Decision, IdentityFacts, Severity, Verdict


def accepted(
    case: Case,
    reason: Reason,
    changes: list[Change],
    account: AccountFacts | None,
    identity: IdentityFacts | None = None,
) -> Decision:
    return Decision(
        verdict=Verdict.APPLIED if changes else Verdict.UNCHANGED,
        situation=case.situation,
        reason=reason.value,
        account_id=account.id if account else None,
        identity_id=identity.id if identity else account.identity_id if account else None,
        changes=tuple(changes),
    )


def refused(case: Case, reason: Reason, changes: list[Change], **detail: str) -> Decision:
    """A refusal may carry findings, and nothing else."""
    account = case.account
    identity_id = case.identity.id if case.identity else None
    if identity_id is None and account is None:
        if case.tombstone:
            identity_id = case.tombstone.identity_id
        elif case.correlation.match is not Match.NONE:
            identity_id = case.correlation.identity.id
    return Decision(
        verdict=Verdict.REFUSED,
        situation=case.situation,
        reason=reason.value,
        account_id=account.id if account else None,
        identity_id=identity_id,
        changes=tuple(changes),
        detail=detail,
    )


def refuse(case: Case) -> Decision:
    """Refuse for the cause that named the situation; nothing is written."""
    reason = needed(case.reason, "reason")
    if mismatch := case.mismatch:
        decision = refused(
            case,
            reason,
            [],
            attribute=mismatch.attribute,
            expected=", ".join(mismatch.expected)[:500],
            found="another value" if mismatch.found else "nothing",
        )
        return replace(decision, found=mismatch.found)
    if case.faults:
        said = case.observation.disbelieved
        found = tuple(f"{name}: {value}" for name in case.faults for value in said.get(name, ()))
        return replace(refused(case, reason, [], **case.faults), found=found)
    if expected := _EXPECTED.get(reason):
        return with_keys(case, refused(case, reason, []), expected=expected)
    return refused(case, reason, [], **({"attribute": case.missing} if case.missing else {}))


_EXPECTED = {
    Reason.LOGIN_NO_ACCOUNT: "somebody who is known here, for logins of this connection make no such account",
    Reason.LOGIN_CREATION_STOPPED: "somebody who is known here, while the making of accounts is stopped",
    Reason.LOGIN_SUBJECT_TRANSIENT: "a persistent NameID, or an attribute that is configured for the externalId or "
    "the userName",
}


def with_keys(case: Case, decision: Decision, *, expected: str) -> Decision:
    """The refusal of an assertion whose keys met nobody, or several: which came is told, their values beside it."""
    observation = case.observation
    subject, fault = observation.subject, observation.faults.get("name_id")
    keys = [(f"NameID ({subject.format})", subject.value)] if subject else []
    if fault:
        keys += [(f"NameID ({fault})", value) for value in observation.disbelieved.get("name_id", ())]
    if observation.external_id:
        keys.append(("externalId", observation.external_id))
    keys += [("name", name) for name in observation.login_names]
    names = list(dict.fromkeys(name for name, _ in keys))
    detail = {
        **decision.detail,
        "expected": expected,
        "found": ", ".join(names)[:500] or "no NameID and no key",
    }
    return replace(decision, detail=detail, found=tuple(f"{name}: {value}" for name, value in keys))


def question(case: Case, account: AccountFacts) -> list[Change]:
    """Whose is this new account? The finding holds the candidates with their rules and vetoes."""
    correlation = case.correlation
    severity = Severity.MEDIUM
    match correlation.match:
        case Match.PROTECTED:
            kind, severity = FindingKind.PROTECTED_MATCH, Severity.HIGH
        case Match.DISPUTED:
            kind = FindingKind.DISPUTED
        case _:
            kind = FindingKind.LOOK_ALIKE if correlation.looks_alike else FindingKind.WEAK_MATCH
    return finding(
        case,
        kind,
        severity,
        account,
        candidates=tuple(identity.id for identity in correlation.identities),
        evidence=correlation.evidence(),
    )


def protected_match(case: Case, account: AccountFacts | None, *, by: str = "") -> list[Change]:
    """An IdP speaks of an identity that no IdP may touch. That it tries to sign somebody in is a case of its own."""
    identities = case.correlation.identities or ((case.identity,) if case.identity else ())
    return finding(
        case,
        FindingKind.PROTECTED_MATCH,
        Severity.HIGH,
        account,
        candidates=tuple(identity.id for identity in identities),
        evidence={**case.correlation.evidence(), **({"by": by} if by else {})},
    )


def identity_of(case: Case, account: AccountFacts) -> IdentityFacts | None:
    return case.known.identities[account.identity_id] if account.identity_id else None


def leave_identity(case: Case) -> Decision:
    return accepted(case, Reason.IDENTITY_UNCHANGED, [], None, needed(case.identity, "identity"))
