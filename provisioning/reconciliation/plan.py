"""How a decision reads before it is carried out, and what would take it back. Knows no table."""

from collections.abc import Callable, Sequence
from typing import Any

from provisioning.audit import tell
from provisioning.decision.types import Decision, GroupObservation
from provisioning.load import Loaded

Line = dict[str, Any]
"""One change by name, with ids and codes; never a personal value."""


def foreseen(decision: Decision, loaded: Loaded) -> list[Line]:
    return [tell(change, loaded.accounts, loaded.identities)[0] for change in decision.changes]


def foreseen_of_group(observation: GroupObservation) -> list[Line]:
    return [
        {"change": "RemoveMember", "group_id": str(observation.group_id), "account_id": str(account_id)}
        for account_id in observation.remove
    ]


def _turned(into: str, *names: str) -> Callable[[Line], Line]:
    return lambda line: {"change": into, **{name: line.get(name) for name in names}}


# What is missing here cannot be taken back (a session), or follows from the rest (a profile that is shown).
_INVERSES: dict[str, Callable[[Line], Line]] = {
    "PlaceHold": _turned("LiftHold", "identity_id", "kind", "source_account_id"),
    "LiftHold": _turned("PlaceHold", "identity_id", "kind", "source_account_id"),
    "LinkAccount": _turned("UnlinkAccount", "account_id", "identity_id"),
    "CreateIdentity": _turned("RemoveIdentity", "identity_id"),
    "CreateAccount": _turned("RemoveAccount", "account_id", "identity_id"),
    "OpenFinding": _turned("WithdrawFinding", "kind", "account_id", "identity_id"),
    "UpdateAccount": _turned("RestoreAccount", "account_id", "lifecycle_owner"),
    "DeleteAccount": _turned("RestoreAccount", "account_id"),
    "RemoveMember": _turned("AddMember", "group_id", "account_id"),
}


def inverse(done: Sequence[Line], audit_id: int | None) -> list[Line]:
    """What would take `done` back, last change first; the audit row `audit_id` holds the values from before."""
    return [
        _INVERSES[line["change"]](line) | {"audit_id": audit_id}
        for line in reversed(done)
        if line["change"] in _INVERSES
    ]
