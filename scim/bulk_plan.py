"""The operations of a Bulk body: what each asks, what it refers to, and which can be done next.

Knows no resource, no handler and no database. RFC 7644 3.7.2: an operation names what another one of the same body
creates as `bulkId:` and that operation's bulkId, before or after it.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import orjson
from scim2_models.exceptions import (
    InvalidSyntaxException,
    InvalidValueException,
    NotFoundException,
    PayloadTooLargeException,
    SCIMException,
)

MAX_OPERATIONS = 1000
METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_MARK = "bulkId:"
# The whole of a value, the end of a $ref, or a quoted value in the path of a PATCH.
_REFERENCE = re.compile(r'(?:^|(?<=["/]))bulkId:([^"/\\]+)')
# No schema nests as deep.
_DEEPEST = 24


@dataclass(slots=True, kw_only=True, eq=False)
class Operation:
    """One operation as it was sent. `endpoint` is in lower case, and "" where the path says none.

    `refers` are the bulkIds that it names. `fault` is why it cannot be done whatever the others do.
    """

    position: int
    method: str = ""
    endpoint: str = ""
    resource_id: str = ""
    bulk_id: str = ""
    version: str | None = None
    data: Any = None
    refers: frozenset[str] = frozenset()
    fault: SCIMException | None = None
    creates: bool = False

    @property
    def target(self) -> tuple[str, str] | None:
        """The resource that it changes; None for one that does not exist yet."""
        return (self.endpoint, self.resource_id.lower()) if self.resource_id else None


def operations_of(body: object, root: str = "") -> tuple[list[Operation], int | None]:
    """The operations, and how many errors end the job (None: it never ends early). `root` may begin a path.

    Raises InvalidSyntax or InvalidValue for a message that is none, PayloadTooLarge for too many operations. What
    is wrong with one operation is its own fault.
    """
    if not isinstance(body, dict):
        raise InvalidSyntaxException(detail="The body is not a JSON object.")
    known = {key.lower(): value for key, value in body.items()}
    raw, limit = known.get("operations"), known.get("failonerrors")
    if not isinstance(raw, list) or not raw:
        raise InvalidSyntaxException(detail="Operations: this is not a list with at least one operation.")
    if len(raw) > MAX_OPERATIONS:
        # RFC 7644 3.7.4: "The returned response MUST specify the limit exceeded in the body".
        raise PayloadTooLargeException(
            detail=f"The body has {len(raw)} operations; maxOperations is {MAX_OPERATIONS}."
        )
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
        raise InvalidValueException(detail="failOnErrors: this is not an integer.")
    operations: list[Operation] = []
    named: set[str] = set()
    for position, item in enumerate(raw):
        operation = Operation(position=position)
        try:
            _read(operation, item, named, root)
        except SCIMException as fault:
            operation.fault = fault
        operations.append(operation)
    _know(operations, named)
    # No job can accept less than no error, so that below one nothing is said.
    return operations, limit if limit is not None and limit >= 1 else None


def _read(operation: Operation, raw: object, named: set[str], root: str) -> None:
    if not isinstance(raw, dict):
        raise InvalidSyntaxException(detail="The operation is not an object.")
    known = {key.lower(): value for key, value in raw.items()}
    bulk_id, path = known.get("bulkid"), known.get("path")
    operation.method = method = _text(known, "method").upper()
    operation.creates = method == "POST"
    operation.version = _text(known, "version") or None
    operation.data = known.get("data")
    if isinstance(bulk_id, str):
        operation.bulk_id = bulk_id
    elif bulk_id is not None:
        raise InvalidValueException(detail="bulkId: this is not a string.")
    if isinstance(path, str):
        operation.endpoint, operation.resource_id = _address(path.removeprefix(root))
    if method not in METHODS:
        raise InvalidValueException(detail="method: this is none of POST, PUT, PATCH and DELETE.")
    if not isinstance(path, str) or not path:
        raise InvalidValueException(detail="path: this attribute is required.")
    if not operation.endpoint:
        raise NotFoundException(detail="path: there is nothing at this address.")
    if method == "POST":
        # RFC 7644 3.7: "REQUIRED when "method" is "POST"", "unique within a bulk request".
        if not operation.bulk_id:
            raise InvalidValueException(detail="bulkId: a POST needs one.")
        if operation.bulk_id in named:
            raise InvalidValueException(detail="bulkId: another POST of this request has it, too.")
        named.add(operation.bulk_id)
    if method == "PATCH" and isinstance(operation.data, list):
        # RFC 7644 3.7.3 shows the operations of a PATCH without the message around them.
        operation.data = {"Operations": operation.data}


def _text(known: Mapping[str, Any], name: str) -> str:
    value = known.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    raise InvalidValueException(detail=f"{name}: this is not a string.")


def _address(path: str) -> tuple[str, str]:
    """(endpoint, id) of a path that is relative to the root; two empty texts where it can be no resource's."""
    parts = path.partition("?")[0].strip("/").split("/")
    if len(parts) > 2:
        return "", ""
    return unquote(parts[0]).lower(), unquote(parts[1]) if len(parts) == 2 else ""


def _know(operations: list[Operation], named: Collection[str]) -> None:
    """Finds what the operations refer to. A reference to no operation at all is its operation's fault."""
    for operation in operations:
        found = set(_mentioned(operation.data)) if _mentions(operation.data) else set()
        path = operation.resource_id
        if path.startswith(_MARK):
            found.add((path.removeprefix(_MARK), True))
        unknown = next((name for name, whole in found if whole and name not in named), None)
        if unknown is not None and operation.fault is None:
            operation.fault = InvalidValueException(
                detail=f"bulkId:{unknown[:100]}: no POST has this bulkId."
            )
        # Within a longer text it may be anything.
        operation.refers = frozenset(name for name, _ in found if name in named)


def _mentions(data: Any) -> bool:
    # A third of a microsecond, where looking through a document takes ten.
    try:
        return data is not None and _MARK.encode() in orjson.dumps(data)
    except orjson.JSONEncodeError:
        return True  # nested too deep to be written again


def _mentioned(value: Any, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """(bulkId, whether it is the whole value) of every reference in a document."""
    if isinstance(value, str):
        if _MARK in value:
            for found in _REFERENCE.finditer(value):
                yield found[1], found.start() == 0
    elif depth < _DEEPEST:
        for inner in _parts(value):
            yield from _mentioned(inner, depth + 1)


def _parts(value: Any) -> Collection[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def resolved(value: Any, ids: Mapping[str, str], depth: int = 0) -> Any:
    """The document with each reference that `ids` knows replaced by the id."""
    if isinstance(value, str):
        if _MARK not in value:
            return value
        return _REFERENCE.sub(lambda found: ids.get(found[1], found[0]), value)
    if depth >= _DEEPEST:
        return value
    if isinstance(value, dict):
        return {key: resolved(inner, ids, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, ids, depth + 1) for inner in value]
    return value


class Order:
    """Which operations come next: as they were sent, but for those that wait for what they refer to.

    Operations on the resources of one endpoint that `batched` names run together where the effects are those of one
    after the other: creations with creations, changes with changes, deletions with deletions, each of another
    resource. `strictly` also keeps the order across endpoints, as a job must that may end early.
    """

    def __init__(
        self, operations: Collection[Operation], batched: Collection[str], *, strictly: bool
    ) -> None:
        self._pending = list(operations)
        self._batched = batched
        self._strictly = strictly
        self._open = {one.bulk_id for one in operations if one.creates and one.fault is None}

    def __bool__(self) -> bool:
        return bool(self._pending)

    def ready(self, operation: Operation) -> bool:
        """Whether all that it refers to has ended."""
        return operation.refers.isdisjoint(self._open)

    def done(self, operations: Collection[Operation]) -> None:
        """These have ended, well or not: whoever waited for them waits no longer."""
        gone = {one.position for one in operations}
        self._pending = [one for one in self._pending if one.position not in gone]
        self._open -= {one.bulk_id for one in operations if one.creates}

    def following(self) -> list[Operation]:
        """What to do next, together. Of a circle of references: what it creates."""
        waiting: set[int] = set()
        while run := self._run(waiting):
            # Creations of one run may refer to each other, but not to what waits.
            elsewhere = self._open - {one.bulk_id for one in run if one.creates}
            stuck = {one.position for one in run if not one.refers.isdisjoint(elsewhere)}
            if not stuck:
                return run
            waiting |= stuck
        return self._circle()

    def _run(self, waiting: Collection[int]) -> list[Operation]:
        run: list[Operation] = []
        lane = None
        taken: set[tuple[str, str] | None] = set()
        for one in self._pending:
            beside = bool(run) and one.endpoint != run[0].endpoint
            if one.position in waiting or self._waits(one) or (one.target and one.target in taken):
                if run and (self._strictly or not (beside or one.creates)):
                    break
                # What comes later for the same resource waits behind it.
                taken.add(one.target)
                continue
            if not run:
                run, lane = [one], self._lane(one)
                if lane is None:
                    break
            elif self._lane(one) == lane:
                run.append(one)
            elif self._strictly or not (run[0].creates and (beside or one.fault)):
                break
            taken.add(one.target)
        return run

    def _waits(self, one: Operation) -> bool:
        if one.fault is not None or one.refers.isdisjoint(self._open):
            return False
        return self._strictly or not one.creates or self._lane(one) is None

    def _lane(self, one: Operation) -> tuple[str, bool, bool] | None:
        """What runs together; None for what is done alone."""
        if one.fault is not None or one.endpoint not in self._batched:
            return None
        return one.endpoint, one.creates, one.method == "DELETE"

    def _circle(self) -> list[Operation]:
        """RFC 7644 3.7.1: "The service provider MUST try to resolve circular cross-references"."""
        creations = {one.bulk_id: one for one in self._pending if one.bulk_id in self._open}
        one = next(iter(creations.values()))
        walked: list[Operation] = []
        while one not in walked:
            walked.append(one)
            one = creations[min(one.refers & self._open)]
        circle = sorted(walked[walked.index(one) :], key=lambda one: one.position)
        lanes = {self._lane(one) for one in circle}
        if len(lanes) == 1 and None not in lanes:
            return circle
        # Whose references nobody checks goes first.
        return [next((one for one in circle if self._lane(one)), circle[0])]
