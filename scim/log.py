"""What the provisioning log is told of a call, however it ended. Judges nothing and answers nobody."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from uuid import UUID

from scim2_models.exceptions import SCIMException

from provisioning import request_log
from provisioning.request_log import Entry
from provisioning.selectors.tokens import Caller
from scim.actions import action_of, keys_of
from scim.calls import Answer, Call
from scim.identifiers import identifier
from scim.kinds import kinds_at
from scim.responses import base
from scim.schemas import Attribute

Ended = Answer | SCIMException

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
# Many clients take the userName for a bulkId.
_BULK_ID = re.compile(r"bulkId:.*: (?=no POST|the operation)", re.DOTALL)


def note(call: Call, ended: Ended, milliseconds: float) -> None:
    """Logs an answered call. One whose token is nobody's belongs to no tenant; the access log has it."""
    if (caller := _caller(call, ended)) is not None:
        if ended.status != 429:  # a flood is stemmed at little cost
            _read(call)
        request_log.note(*_entries(call, caller, ended, milliseconds))


def _read(call: Call) -> None:
    """The body of a write that was refused before anybody read it: it says whom the write was about."""
    if call.writes and call.sent is None:
        # What is wrong with it is no longer of interest; a stream that was read already says the same.
        with suppress(SCIMException):
            call.sent = call.read_body()


def _caller(call: Call, ended: Ended) -> Caller | None:
    if call.credential.caller is None and isinstance(ended, SCIMException):
        # Refused by what was asked, before anybody looked at the token: this look is the log's own.
        try:
            return call.credential.identified(call.at)
        except SCIMException:
            return None
    return call.credential.caller


def _entries(call: Call, caller: Caller, ended: Ended, milliseconds: float) -> Iterator[Entry]:
    whole = _entry(call, caller, ended, milliseconds)
    yield whole
    if whole.action == "bulk" and isinstance(ended, Answer):
        yield from _refused_in_bulk(whole, ended)


def _entry(call: Call, caller: Caller, ended: Ended, milliseconds: float) -> Entry:
    if isinstance(ended, SCIMException):
        status, scim_type, detail = int(ended.status), ended.scim_type or "", ended.detail or ""
        target_id, reason, results = None, getattr(ended, "hub_reason", ""), None
    else:
        status, scim_type, detail = ended.status, "", ""
        target_id, reason, results = ended.target_id, ended.reason, ended.results
    return Entry(
        tenant_id=caller.tenant_id,
        connection_id=caller.connection_id,
        token_id=caller.token_id,
        digest_key=caller.digest_key,
        at=call.at,
        request_id=call.request_id,
        method=_method(call.method),
        action=action_of(call.endpoint, call.method, call.resource_id, call.sent, call.parameters),
        target_id=target_id or identifier(call.resource_id),
        status=status,
        scim_type=scim_type,
        reason=reason,
        detail=detail,
        milliseconds=milliseconds,
        results=results,
        body=call.sent if call.sent is not None else dict(call.parameters) or None,
        keys=keys_of(call.sent, call.parameters),
        names=_own_names(caller.tenant_id, caller.schema_version),
    )


def _refused_in_bulk(whole: Entry, answer: Answer) -> Iterator[Entry]:
    """A line for each operation that failed: somebody will look for the person in it.

    Those that were done are in the audit, person by person; here they are one request.
    """
    sent = next((inner for key, inner in whole.body.items() if key.lower() == "operations"), ())
    for position, result in zip(answer.positions, answer.body["Operations"], strict=True):
        operation = sent[position]
        if int(result["status"]) < 400 or not isinstance(operation, dict):
            continue
        known = {key.lower(): inner for key, inner in operation.items()}
        endpoint, _, named = str(known.get("path") or "").removeprefix(base()).strip("/").partition("/")
        method, data = str(known.get("method") or "").upper(), known.get("data")
        error = result["response"]
        yield replace(
            whole,
            method=_method(method),
            action=action_of(endpoint, method, named, data),
            target_id=identifier(named),
            status=int(result["status"]),
            scim_type=error.get("scimType", ""),
            reason="",
            detail=_BULK_ID.sub("bulkId:…: ", error.get("detail", "")),
            milliseconds=0.0,
            results=None,
            body=data,
            keys=keys_of(data),
        )


def _method(method: str) -> str:
    """Whatever else stands there may be anybody's name."""
    return method if method in _METHODS else ""


@lru_cache(maxsize=256)
def _own_names(tenant_id: UUID, schema_version: int) -> frozenset[str]:
    """The attributes of the tenant's own schemas, in lower case: names that may be shown."""
    kinds = kinds_at(tenant_id, schema_version).all
    return frozenset(
        name for kind in kinds for one in kind.extensions.values() for name in _names_in(one.attributes)
    )


def _names_in(attributes: Mapping[str, Attribute]) -> Iterator[str]:
    for name, attribute in attributes.items():
        yield name
        yield from _names_in(attribute.subs)
