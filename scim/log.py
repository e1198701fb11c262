"""What the provisioning log is told of a call, however it ended. Judges nothing and answers nobody."""

from functools import lru_cache
from uuid import UUID

from scim2_models.exceptions import SCIMException

from provisioning import request_log
from provisioning.request_log import Entry
from scim.actions import action_of, keys_of
from scim.calls import Answer, Call
from scim.identifiers import identifier
from scim.kinds import kinds_at
from scim.schemas import Attribute


def note(call: Call, ended: Answer | SCIMException, milliseconds: float) -> None:
    """Logs an answered call. One whose token is nobody's belongs to no tenant; the access log has it."""
    if (entry := entry_of(call, ended, milliseconds)) is not None:
        request_log.note(entry)


def entry_of(call: Call, ended: Answer | SCIMException, milliseconds: float) -> Entry | None:
    caller = call.credential.caller
    if caller is None:
        return None
    action = action_of(call.endpoint, call.method, call.resource_id, call.sent, call.parameters)
    keys = keys_of(call.sent, call.parameters)
    body = call.sent if call.sent is not None else (dict(call.parameters) or None)
    if isinstance(ended, SCIMException):
        status, scim_type, detail = int(ended.status), ended.scim_type or "", ended.detail or ""
        target_id, reason, results = identifier(call.resource_id), getattr(ended, "hub_reason", ""), None
    else:
        status, scim_type, detail = ended.status, "", ""
        target_id, reason, results = ended.target_id, ended.reason, ended.results
        if target_id is None and call.resource_id:
            target_id = identifier(call.resource_id)
    return Entry(
        tenant_id=caller.tenant_id,
        connection_id=caller.connection_id,
        token_id=caller.token_id,
        digest_key=caller.digest_key,
        at=call.at,
        request_id=call.request_id,
        method=call.method,
        action=action,
        target_id=target_id,
        status=status,
        scim_type=scim_type,
        reason=reason,
        detail=detail,
        milliseconds=milliseconds,
        results=results,
        body=body,
        keys=keys,
        names=_own_names(caller.tenant_id, caller.schema_version)
        if caller.schema_version > 1
        else frozenset(),
    )


@lru_cache(maxsize=256)
def _own_names(tenant_id: UUID, schema_version: int) -> frozenset[str]:
    """The attributes of the tenant's own schemas, in lower case: names that may be shown."""
    names: set[str] = set()

    def gather(attributes: "dict[str, Attribute]") -> None:
        for name, attribute in attributes.items():
            names.add(name)
            gather(dict(attribute.subs))

    for kind in kinds_at(tenant_id, schema_version).all:
        for extension in kind.extensions.values():
            gather(dict(extension.attributes))
    return frozenset(names)
