"""Many users at once: as many statements for a thousand as for one. Decides nothing about people."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from scim2_models.exceptions import SCIMException

from provisioning import services
from provisioning.decision.keys import fold
from provisioning.decision.types import Intent, Observation, Outcome, Verdict
from provisioning.selectors import accounts
from provisioning.selectors.accounts import AccountDocument
from scim.calls import Answer, Call
from scim.documents import unique_keys
from scim.errors import refusal
from scim.identifiers import identifier
from scim.mapping import emails_of, observation, said_of
from scim.schemas import JSON, ResourceKind
from scim.users import USERS, begun, replaced, stepped

Ended = Answer | SCIMException
Key = tuple[str, str]


def many(calls: Sequence[Call]) -> list[Ended]:
    """How each call ends, as if they came one after the other.

    All of them create, or all of them change, or all of them delete; those that change or delete are about different
    users. What is wrong with one is its own matter.
    """
    return _BATCHES[calls[0].method](calls)


class _Batch:
    """Calls on their way to one `submit_many`."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.ended: dict[int, Ended] = {}
        self._waiting: list[tuple[int, Observation]] = []
        self._released: set[Key] = set()

    def each(self, observe: Callable[[Call], Observation]) -> list[Ended]:
        for position, call in enumerate(self.calls):
            try:
                self._waiting.append((position, observe(call)))
            except SCIMException as refused:
                self.ended[position] = refused
        self.submit()
        return [self.ended[position] for position in range(len(self.calls))]

    def submit(self) -> None:
        outcomes = services.submit_many([asked for _, asked in self._waiting])
        for (position, _), outcome in zip(self._waiting, outcomes, strict=True):
            try:
                self.ended[position] = _answer(self.calls[position], outcome)
            except SCIMException as refused:
                self.ended[position] = refused
        self._waiting, self._released = [], set()

    def moved(self, before: set[Key], after: set[Key]) -> None:
        """A name that one user lets go of is free for the next: what asks for it waits until it is."""
        if not self._released.isdisjoint(after - before):
            self.submit()
        self._released |= before - after


def _created(calls: Sequence[Call]) -> list[Ended]:
    def observe(call: Call) -> Observation:
        kind = USERS.kind(call.caller)
        return _observation(call, Intent.CREATE, kind, begun(kind, call.body()), new_id=call.new_id)

    return _Batch(calls).each(observe)


def _changed(calls: Sequence[Call]) -> list[Ended]:
    batch, held = _Batch(calls), _held(calls)

    def observe(call: Call) -> Observation:
        kind, current = USERS.kind(call.caller), _current(call, held)
        before = said_of(current)
        document = _CHANGES[call.method](kind, before, call.body())
        batch.moved(_keys(kind, before), _keys(kind, document))
        return _observation(
            call,
            Intent.UPDATE,
            kind,
            document,
            account_id=current.id,
            expected_version=current.version,
        )

    return batch.each(observe)


def _deleted(calls: Sequence[Call]) -> list[Ended]:
    held = _held([call for call in calls if call.if_match is not None])

    def observe(call: Call) -> Observation:
        kind = USERS.kind(call.caller)
        if call.if_match is None:
            return _observation(call, Intent.DELETE, kind, account_id=USERS.addressed(call))
        current = _current(call, held)
        return _observation(
            call, Intent.DELETE, kind, account_id=current.id, expected_version=current.version
        )

    return _Batch(calls).each(observe)


_BATCHES: Mapping[str, Callable[[Sequence[Call]], list[Ended]]] = {
    "POST": _created,
    "PUT": _changed,
    "PATCH": _changed,
    "DELETE": _deleted,
}
_CHANGES = {"PUT": replaced, "PATCH": stepped}
_STATUS = {"POST": 201, "PUT": 200, "PATCH": 200, "DELETE": 204}


def _observation(
    call: Call, intent: Intent, kind: ResourceKind, document: JSON | None = None, **more: Any
) -> Observation:
    return observation(
        call.caller, intent, kind=kind, at=call.at, request_id=call.request_id, document=document, **more
    )


def _held(calls: Iterable[Call]) -> dict[UUID, AccountDocument]:
    """The users that the calls are about, in one statement."""
    caller, ids = None, []
    for call in calls:
        caller = call.credential.identified(call.at)
        if (account_id := identifier(call.resource_id)) is not None:
            ids.append(account_id)
    if caller is None or not ids:
        return {}
    return accounts.many(tenant_id=caller.tenant_id, connection_id=caller.connection_id, account_ids=ids)


def _current(call: Call, held: Mapping[UUID, AccountDocument]) -> AccountDocument:
    found = held.get(USERS.addressed(call))
    if found is None:
        raise refusal("account:unknown")
    USERS.demand_version(call.if_match, found.version)
    return found


def _keys(kind: ResourceKind, document: JSON) -> set[Key]:
    """What no two users of a connection share, and what one is recognised by."""
    keys = {("emails", email) for email in emails_of(document)}
    keys |= {("unique", key) for key in unique_keys(kind, document)}
    keys.add(("userName", fold(document["userName"])))
    if "externalId" in document:
        keys.add(("externalId", document["externalId"]))
    return keys


def _answer(call: Call, outcome: Outcome) -> Answer:
    method = call.method
    if outcome.verdict is Verdict.STALE and call.if_match is None and method in _CHANGES:
        # Somebody else was quicker: by itself it is read and computed again.
        return USERS.replace(call) if method == "PUT" else USERS.patch(call)
    if outcome.verdict is Verdict.REFUSED or (method in ("PUT", "PATCH", "DELETE") and not outcome.accepted):
        raise refusal(outcome.reason)
    version = None if method == "DELETE" else outcome.version
    return USERS.told(outcome.account_id, version, _STATUS[method], outcome.reason)
