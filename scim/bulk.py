"""Many operations in one request (RFC 7644 3.7), each answered as if it had come alone. Knows no resource."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic
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
from scim.patch import MAX_FILTERS, filters_in, too_many_filters
from scim.requests import versions_of
from scim.resources import Resources
from scim.schemas import JSON

RESPONSE_URN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
MAX_PAYLOAD = 4 * 1024 * 1024
"""Bytes. A thousand operations of 4 KiB each."""

ATTEMPTS = 5
SECONDS = 20
"""How long one job goes on. What it has not come to by then answers 503."""

Ended = Answer | SCIMException

Check = Callable[[Mapping[int, Ended]], None]
BATCHES: Mapping[str, Callable[[Sequence[Call], Check], list[Ended]]] = {"users": user_batches.many}
"""The endpoints that do many of their operations at once. They tell what they refuse before they write anything."""


def perform(call: Call) -> Answer:
    """RFC 7644 3.7: "The service provider MUST continue performing as many changes as possible and disregard
    partial failures", until there were failOnErrors of them."""
    call.caller  # noqa: B018 - refuses
    operations, limit = operations_of(call.body(), responses.base())
    _demand_few_filters(operations)
    job = _Job(call, operations, limit)
    job.run()
    positions = sorted(job.results)
    return Answer(
        status=200,
        body={"schemas": [RESPONSE_URN], "Operations": [job.results[position] for position in positions]},
        results=len(positions),
        positions=positions,
    )


def _demand_few_filters(operations: Iterable[Operation]) -> None:
    """Attack: a thousand operations would each have a PATCH's own allowance. Those beyond it fail."""
    characters = 0
    for one in operations:
        if one.method == "PATCH" and one.fault is None:
            weight = filters_in(one.data)
            characters += weight
            if weight and characters > MAX_FILTERS:
                one.fault = too_many_filters()


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
        self.until = monotonic() + SECONDS
        self.singly = False
        self.errors = 0
        self.results: dict[int, JSON] = {}
        # An id for everything that is referred to, so that what refers need not wait for it.
        names = {name for one in operations for name in one.refers}
        self.promised: dict[str, UUID] = dict(zip(names, new_ids(len(names)), strict=True))
        self.ids: dict[str, str] = {name: str(promise) for name, promise in self.promised.items()}
        self.lost: set[str] = set()
        """The bulkIds whose resources there are not, nor will be."""
        self.referring: dict[str, list[Operation]] = defaultdict(list)
        for one in operations:
            for name in one.refers:
                self.referring[name].append(one)

    def run(self) -> None:
        while self.order and not self._over(self.errors):
            done = self._done(self.order.following())
            self.order.done([one for one, _ in done])
            for one, ended in done:
                self._note(one, ended)
            # Attack: in a chain of references each link would be tried, with all before it, to learn of the next.
            gone = {
                one.bulk_id for one, ended in done if isinstance(ended, SCIMException) and self._named(one)
            }
            behind = [one for one in self._behind(gone) if one.position not in self.results]
            self.lost |= gone.union(one.bulk_id for one in behind if self._named(one))

    def _behind(self, names: Iterable[str]) -> Iterator[Operation]:
        """What refers to these, or to what one of those that do creates, and so on; but for what has ended well."""
        # Whoever stands behind what is lost is lost already.
        known = set(names) - self.lost
        waiting = list(known)
        met: set[int] = set()
        while waiting:
            for one in self.referring.get(waiting.pop(), ()):
                if one.position in self.results or one.position in met:
                    continue
                met.add(one.position)
                yield one
                if self._named(one) and one.bulk_id not in known:
                    known.add(one.bulk_id)
                    waiting.append(one.bulk_id)

    def _over(self, errors: int) -> bool:
        return self.limit is not None and errors >= self.limit

    def _done(self, run: list[Operation]) -> list[tuple[Operation, Ended]]:
        run = self._next(run)
        for _ in range(ATTEMPTS):
            if monotonic() > self.until:
                return [(run[0], BusyException(detail=f"{SECONDS} s were over before this could be done."))]
            try:
                return retrying(lambda: self._tried(run))  # noqa: B023 - called before the next round
            except _Undone as undone:
                run = undone.kept
        # Attack: every attempt brings another conflict to light, a thousand times.
        if not self.singly:
            self.singly = True
            return self._done(run)
        return [(run[0], BusyException())]

    def _next(self, run: list[Operation]) -> list[Operation]:
        """Of an operation by itself, that refers to nothing to come, nothing can turn out too late."""
        ready = next((one for one in run if self.order.ready(one)), None) if self.singly else None
        return [ready] if ready else run

    def _tried(self, run: list[Operation]) -> list[tuple[Operation, Ended]]:
        """In one transaction, so that what turns out to go too far leaves nothing."""
        ended: dict[int, Ended] = {}
        for one in run:
            if (fault := self._fault(one)) is not None:
                ended[one.position] = fault
        free = [one for one in run if one.position not in ended]
        if free:

            def check(refused: Mapping[int, Ended]) -> None:
                known = {free[number].position: end for number, end in refused.items()}
                self._keep_promises(run, ended | known)

            answers = self._answers(free[0].endpoint, [self._call(one) for one in free], check)
            ended |= {one.position: answer for one, answer in zip(free, answers, strict=True)}
        self._keep_promises(run, ended)
        done = [(one, ended[one.position]) for one in run]
        errors = self.errors
        for number, (_, end) in enumerate(done, start=1):
            errors += isinstance(end, SCIMException)
            if self._over(errors) and number < len(run):
                raise _Undone(run[:number])
        return done

    def _answers(self, endpoint: str, calls: list[Call], check: Check) -> Sequence[Ended]:
        if endpoint in BATCHES:
            return BATCHES[endpoint](calls, check)
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

    def _keep_promises(self, run: list[Operation], ended: Mapping[int, Ended]) -> None:
        """Nobody refers to what is not there: a creation may fail, or meet somebody who has an id already."""
        made = {one.bulk_id: ended[one.position] for one in run if self._named(one) and one.position in ended}
        moved = {
            name: str(end.target_id)
            for name, end in made.items()
            if isinstance(end, Answer) and str(end.target_id) != self.ids[name]
        }
        if not moved.keys().isdisjoint(name for one in run for name in one.refers):
            self.ids |= moved
            raise _Undone(run)
        gone = [name for name, end in made.items() if isinstance(end, SCIMException)]
        left_out = {
            one.position
            for one in self._behind(gone)
            if not isinstance(ended.get(one.position), SCIMException)
        }
        kept = [one for one in run if one.position not in left_out]
        if len(kept) < len(run):
            # They are told so when their turn comes again.
            raise _Undone(kept)

    def _named(self, one: Operation) -> bool:
        """Whether others refer to what it creates."""
        return one.creates and one.fault is None and one.bulk_id in self.promised

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
            patience=whole.patience,
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
        self.results[one.position] = result
