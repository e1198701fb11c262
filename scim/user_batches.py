"""Many users at once: as many statements for a thousand as for one. Decides nothing about people."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from scim2_models.exceptions import SCIMException

from identity_hub.core.ids import new_ids
from provisioning import services
from provisioning.decision.keys import fold
from provisioning.decision.types import Intent, Observation, Outcome, Verdict
from provisioning.selectors import accounts
from provisioning.selectors.accounts import AccountDocument
from provisioning.selectors.tokens import Caller
from scim import responses
from scim.calls import Answer, Call
from scim.documents import spelled, unique_keys
from scim.errors import refusal
from scim.identifiers import identifier
from scim.mapping import emails_of, observation, said_of
from scim.schemas import JSON, ResourceKind
from scim.users import USERS, begun, replaced, stepped

Ended = Answer | SCIMException
Key = tuple[str, str]


def many(calls: Sequence[Call], check: Callable[[Mapping[int, Ended]], None]) -> list[Ended]:
    """How each call ends, as if they came one after the other.

    All of them create, or all of them change, or all of them delete; those that change or delete are about different
    users. What is wrong with one is its own matter. `check` learns by position which are refused as they stand, before
    anything is written; what it raises ends it all.
    """
    try:
        caller = calls[0].caller
    except SCIMException as refused:
        return [refused] * len(calls)
    return _BATCHES[calls[0].method](_Batch(calls, caller, check))


class _Batch:
    """Calls on their way to one `submit_many`: of one caller, to one address, by one kind of method."""

    def __init__(
        self, calls: Sequence[Call], caller: Caller, check: Callable[[Mapping[int, Ended]], None]
    ) -> None:
        self.calls = calls
        self.check = check
        self.caller = caller
        self.kind = USERS.kind(caller)
        self.root = f"{responses.base()}/{USERS.endpoint}/"
        self._ids = iter(new_ids(2 * len(calls)))
        self.ended: dict[int, Ended] = {}
        self._waiting: list[tuple[int, Observation]] = []
        self._released: set[Key] = set()

    def each(self, observe: Callable[[Call], Observation]) -> list[Ended]:
        for position, call in enumerate(self.calls):
            try:
                asked = observe(call)
            except SCIMException as refused:
                self.ended[position] = refused
            else:
                self._waiting.append((position, asked))
        self.check(self.ended)
        self.submit()
        return [self.ended[position] for position in range(len(self.calls))]

    def submit(self) -> None:
        outcomes = services.submit_many([asked for _, asked in self._waiting])
        for (position, _), outcome in zip(self._waiting, outcomes, strict=True):
            try:
                self.ended[position] = self._answer(self.calls[position], outcome)
            except SCIMException as refused:
                self.ended[position] = refused
        self._waiting, self._released = [], set()

    def _answer(self, call: Call, outcome: Outcome) -> Answer:
        method = call.method
        if outcome.verdict is Verdict.STALE and call.if_match is None and method in _CHANGES:
            # Somebody else was quicker: by itself it is read and computed again.
            return USERS.replace(call) if method == "PUT" else USERS.patch(call)
        if outcome.verdict in (Verdict.REFUSED, Verdict.STALE):
            raise refusal(
                outcome.reason,
                attribute=spelled(USERS.kind(call.caller), outcome.detail.get("attribute", "")),
            )
        return Answer(
            status=_STATUS[method],
            version=None if method == "DELETE" else outcome.version,
            location=f"{self.root}{outcome.account_id}",
            target_id=outcome.account_id,
            reason=outcome.reason,
        )

    def observation(
        self, call: Call, intent: Intent, document: JSON | None = None, **more: Any
    ) -> Observation:
        return observation(
            self.caller,
            intent,
            kind=self.kind,
            at=call.at,
            request_id=call.request_id,
            document=document,
            new_id=next(self._ids) if call.new_id is None else call.new_id,
            new_identity_id=next(self._ids),
            **more,
        )

    def held(self, calls: Iterable[Call]) -> dict[UUID, AccountDocument]:
        """The users that the calls are about, in one statement."""
        ids = [found for call in calls if (found := identifier(call.resource_id)) is not None]
        if not ids:
            return {}
        return accounts.many(
            tenant_id=self.caller.tenant_id, connection_id=self.caller.connection_id, account_ids=ids
        )

    def moved(self, before: set[Key], after: set[Key]) -> None:
        """A name that one user lets go of is free for the next: what asks for it waits until it is."""
        if not self._released.isdisjoint(after - before):
            self.submit()
        self._released |= before - after


def _created(batch: _Batch) -> list[Ended]:
    def observe(call: Call) -> Observation:
        return batch.observation(call, Intent.CREATE, begun(batch.kind, call.body()))

    return batch.each(observe)


def _changed(batch: _Batch) -> list[Ended]:
    held = batch.held(batch.calls)

    def observe(call: Call) -> Observation:
        current = _current(call, held)
        before = said_of(current)
        document = _CHANGES[call.method](batch.kind, before, call.body())
        batch.moved(_keys(batch.kind, before), _keys(batch.kind, document))
        return batch.observation(
            call, Intent.UPDATE, document, account_id=current.id, expected_version=current.version
        )

    return batch.each(observe)


def _deleted(batch: _Batch) -> list[Ended]:
    held = batch.held(call for call in batch.calls if call.if_match is not None)

    def observe(call: Call) -> Observation:
        if call.if_match is None:
            return batch.observation(call, Intent.DELETE, account_id=USERS.addressed(call))
        current = _current(call, held)
        return batch.observation(call, Intent.DELETE, account_id=current.id, expected_version=current.version)

    return batch.each(observe)


_BATCHES: Mapping[str, Callable[[_Batch], list[Ended]]] = {
    "POST": _created,
    "PUT": _changed,
    "PATCH": _changed,
    "DELETE": _deleted,
}
_CHANGES = {"PUT": replaced, "PATCH": stepped}
_STATUS = {"POST": 201, "PUT": 200, "PATCH": 200, "DELETE": 204}


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
