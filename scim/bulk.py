"""Many operations in one request (RFC 7644 3.7), each answered as if it had come alone. Knows no resource."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from scim2_models.exceptions import ConflictException, NotFoundException, SCIMException

from identity_hub.core.ids import new_ids
from provisioning.services.submission import retrying
from scim import responses, user_batches
from scim.bulk_plan import Operation, Order, operations_of, resolved
from scim.calls import Answer, Call
from scim.catalogue import resources_at
from scim.errors import BusyException, MethodNotAllowedException, body_of
from scim.mapping import etag
from scim.requests import versions_of
from scim.resources import Resources
from scim.schemas import JSON

RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
MAX_PAYLOAD = 4 * 1024 * 1024
"""Bytes. A thousand operations of 4 KiB each."""

ATTEMPTS = 5

Ended = Answer | SCIMException

BATCHES: Mapping[str, Callable[[Sequence[Call]], list[Ended]]] = {"users": user_batches.many}
"""The endpoints that do many of their operations at once."""


def perform(call: Call) -> Answer:
    """RFC 7644 3.7: "The service provider MUST continue performing as many changes as possible and disregard
    partial failures", until there were failOnErrors of them."""
    call.credential.identified(call.at)
    operations, limit = operations_of(call.body(), responses.base())
    job = _Job(call, operations, limit)
    job.run()
    positions = sorted(job.results)
    return Answer(
        status=200,
        body={"schemas": [RESPONSE_URN], "Operations": [job.results[position] for position in positions]},
        results=len(positions),
        positions=positions,
    )


class _Undone(Exception):
    """What was tried goes beyond what may be done; `kept` may."""

    def __init__(self, kept: list[Operation]) -> None:
        self.kept = kept


class _Job:
    def __init__(self, call: Call, operations: Sequence[Operation], limit: int | None) -> None:
        self.call = call
        self.root = responses.base()
        self.resources = {name: resources_at(name) for name in {one.endpoint for one in operations}}
        self.order = Order(operations, BATCHES, strictly=limit is not None)
        self.limit = limit
        self.errors = 0
        self.results: dict[int, JSON] = {}
        # An id for everything that is referred to, so that what refers need not wait for it.
        names = {name for one in operations for name in one.refers}
        self.promised: dict[str, UUID] = dict(zip(names, new_ids(len(names)), strict=True))
        self.ids: dict[str, str] = {name: str(promise) for name, promise in self.promised.items()}
        self.lost: set[str] = set()
        """The bulkIds whose resources there are not."""

    def run(self) -> None:
        while self.order and not self._over(self.errors):
            done = self._done(self.order.following())
            self.order.done([one for one, _ in done])
            for one, ended in done:
                self._note(one, ended)

    def _over(self, errors: int) -> bool:
        return self.limit is not None and errors >= self.limit

    def _done(self, run: list[Operation]) -> list[tuple[Operation, Ended]]:
        for _ in range(ATTEMPTS):
            try:
                return retrying(lambda: self._tried(run))  # noqa: B023 - called before the next round
            except _Undone as undone:
                run = undone.kept
        return [(run[0], BusyException())]

    def _tried(self, run: list[Operation]) -> list[tuple[Operation, Ended]]:
        """In one transaction, so that what turns out to go too far leaves nothing."""
        ended: dict[int, Ended] = {}
        for one in run:
            if (fault := self._fault(one)) is not None:
                ended[one.position] = fault
        free = [one for one in run if one.position not in ended]
        if free:
            answers = self._answers(free[0].endpoint, [self._call(one) for one in free])
            ended |= {one.position: answer for one, answer in zip(free, answers, strict=True)}
        done = [(one, ended[one.position]) for one in run]
        self._keep_promises(done)
        errors = self.errors
        for number, (_, end) in enumerate(done, start=1):
            errors += isinstance(end, SCIMException)
            if self._over(errors) and number < len(run):
                raise _Undone(run[:number])
        return done

    def _answers(self, endpoint: str, calls: list[Call]) -> Sequence[Ended]:
        if endpoint in BATCHES:
            return BATCHES[endpoint](calls)
        return [self._answer(call) for call in calls]

    def _answer(self, call: Call) -> Ended:
        try:
            return self._at(call.endpoint.lower()).answer(call)
        except SCIMException as refused:
            return refused

    def _at(self, endpoint: str) -> Resources[Any]:
        resources = self.resources[endpoint]
        assert resources is not None  # `_fault` has seen to it
        return resources

    def _keep_promises(self, done: Sequence[tuple[Operation, Ended]]) -> None:
        """Nobody refers to what is not there: a creation may fail, or meet somebody who has an id already."""
        made = {one.bulk_id: end for one, end in done if self._named(one)}
        run = [one for one, _ in done]
        referred = {name for one in run for name in one.refers}.intersection(made)
        moved = False
        for name in referred:
            end = made[name]
            if isinstance(end, Answer) and str(end.target_id) != self.ids[name]:
                self.ids[name] = str(end.target_id)
                moved = True
        if moved:
            raise _Undone(run)
        gone = {name for name in referred if isinstance(made[name], SCIMException)}
        kept = run
        while gone:
            left = [one for one in kept if one.refers.isdisjoint(gone) or self._failed(one, made)]
            if len(left) == len(kept):
                break
            gone |= {one.bulk_id for one in kept if one not in left}
            kept = left
        if len(kept) < len(run):
            # They are told so when their turn comes again.
            raise _Undone(kept)

    def _named(self, one: Operation) -> bool:
        """Whether others refer to what it creates."""
        return one.creates and one.fault is None and one.bulk_id in self.promised

    def _failed(self, one: Operation, made: Mapping[str, Ended]) -> bool:
        return isinstance(made.get(one.bulk_id), SCIMException)

    def _fault(self, one: Operation) -> SCIMException | None:
        """Why an operation need not be tried."""
        if one.fault is not None:
            return one.fault
        if lost := next(iter(one.refers & self.lost), None):
            return ConflictException(detail=f"bulkId:{lost[:100]}: the operation that creates it has failed.")
        resources = self.resources[one.endpoint]
        if resources is None:
            return NotFoundException(detail="path: there is nothing at this address.")
        verbs = resources.verbs if one.resource_id else resources.list_verbs
        return None if one.method in verbs else MethodNotAllowedException(verbs)

    def _call(self, one: Operation) -> Call:
        whole = self.call
        return Call(
            method=one.method,
            endpoint=self._at(one.endpoint).endpoint,
            credential=whole.credential,
            at=whole.at,
            request_id=whole.request_id,
            resource_id=self._id(one),
            if_match=None if one.creates else versions_of(one.version),
            sent=resolved(one.data, self.ids) if one.refers else one.data,
            brief=True,
            new_id=self.promised.get(one.bulk_id) if one.creates else None,
        )

    def _id(self, one: Operation) -> str:
        return str(resolved(one.resource_id, self.ids)) if one.refers else one.resource_id

    def _note(self, one: Operation, ended: Ended) -> None:
        """RFC 7644 3.7: of a location "REQUIRED in a response, except in the event of a POST failure"."""
        resources = self.resources[one.endpoint]
        result: JSON = {}
        if isinstance(ended, Answer) and ended.location:
            result["location"] = ended.location
        elif one.resource_id and resources is not None:
            result["location"] = f"{self.root}/{resources.endpoint}/{self._id(one)}"
        if one.method:
            result["method"] = one.method
        if one.bulk_id:
            result["bulkId"] = one.bulk_id
        if isinstance(ended, Answer):
            if ended.version is not None:
                result["version"] = etag(ended.version)
            result["status"] = str(ended.status)
            if self._named(one):
                self.ids[one.bulk_id] = str(ended.target_id)
        else:
            result["status"] = str(ended.status)
            result["response"] = body_of(ended.status, ended.detail, ended.scim_type)
            self.errors += 1
            if self._named(one):
                self.lost.add(one.bulk_id)
        self.results[one.position] = result
