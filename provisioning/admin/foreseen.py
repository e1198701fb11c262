"""How a change reads before anybody agrees to it. Knows no finding and no page."""

from collections.abc import Mapping
from uuid import UUID

from provisioning.decision.reasons import Reason
from provisioning.decision.types import (
    AddAlias,
    Change,
    CreateIdentity,
    Decision,
    DeleteAccount,
    EndOverride,
    EndSessions,
    HoldKind,
    KeepApart,
    LiftHold,
    LinkAccount,
    MergeIdentities,
    MoveHold,
    PlaceHold,
    SetOverride,
    UnlinkAccount,
    UpdateAccount,
    UpdateIdentity,
)
from provisioning.selectors.timeline import meaning

Names = Mapping[UUID, str]

_HOLDS = {
    HoldKind.SCIM: "the directory's hold",
    HoldKind.EXPIRY: "the hold of an account that was not confirmed",
    HoldKind.ADMIN: "an administrator's hold",
    HoldKind.SECURITY: "the security hold",
    HoldKind.APPROVAL: "the hold that waits for an approval",
    HoldKind.MIGRATION: "the migration's hold",
    HoldKind.OWNER: "the hold of the ownerless",
}


def words(decision: Decision | None, names: Names) -> list[str]:
    """One line for each thing that would change; a refusal reads as its reason."""
    if decision is None:
        return []
    if not decision.changes:
        return [meaning(decision.reason)]
    made = {change.identity_id for change in decision.changes if isinstance(change, CreateIdentity)}
    told = (
        _line(change, names, decision.reason)
        for change in decision.changes
        if not (isinstance(change, LinkAccount) and change.identity_id in made)
    )
    return list(dict.fromkeys(line for line in told if line))


def moving(moves: Mapping[str, int]) -> list[str]:
    """What goes along with somebody who ends in another one."""
    told = [f"{kind[:1].lower()}{kind[1:]} ({number})" for kind, number in moves.items() if number]
    return [f"Along: {', '.join(told)}"] if told else []


def _line(change: Change, names: Names, reason: str) -> str:
    match change:
        case LinkAccount():
            return f"The account is tied to {_who(change.identity_id, names)}"
        case MergeIdentities():
            return f"{_capital(_who(change.former_identity_id, names))} ends in {_who(change.identity_id, names)}"
        case UnlinkAccount():
            return f"The account leaves {_who(change.identity_id, names)}"
        case CreateIdentity():
            return "A new person is made for the account"
        case UpdateAccount() if reason == Reason.ACCOUNT_UNBOUND:
            return "The account is bound to no NameID, and its next login binds one"
        case SetOverride():
            until = f"{change.override.until:%Y-%m-%d}"
            return f"What is shown of {_who(change.identity_id, names)} is overridden until {until}"
        case EndOverride():
            return f"The override before it of {_who(change.identity_id, names)} ends"
        case UpdateIdentity() if reason == Reason.IDENTITY_OVERRIDDEN:
            return ""
        case UpdateIdentity():
            return f"What is shown of {_who(change.identity_id, names)} follows all accounts"
        case DeleteAccount() if reason == Reason.ACCOUNT_ENDED:
            return "The account ends with its groups, and its name and key are free"
        case DeleteAccount():
            return "An account that doubles another one ends in it, with its groups"
        case PlaceHold():
            return f"{_capital(_HOLDS[change.kind])} is placed on {_who(change.identity_id, names)}"
        case LiftHold():
            return f"{_capital(_HOLDS[change.kind])} is lifted from {_who(change.identity_id, names)}"
        case MoveHold():
            return f"{_capital(_HOLDS[change.kind])} moves along to {_who(change.identity_id, names)}"
        case EndSessions():
            return f"Every session of {_who(change.identity_id, names)} ends"
        case KeepApart():
            return f"No rule ties the account to {_who(change.identity_id, names)} again"
        case AddAlias():
            return "A former name stays findable"
    return ""


def _who(identity_id: UUID, names: Names) -> str:
    return names.get(identity_id, "the person")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
