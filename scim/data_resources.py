"""Resources of a type that is nothing but its schema: from a call to a row, and back. Knows no attribute."""

from collections.abc import Callable
from uuid import UUID

from scim2_models.exceptions import SCIMException, UniquenessException

from provisioning.decision.types import Verdict
from provisioning.selectors.data_resources import DataDocument, document, table_of
from provisioning.services import data_resources as service
from provisioning.services.data_resources import DataOutcome, DataWrite
from scim import conformance, responses
from scim.calls import Answer, Call
from scim.documents import canonical, replacing, schemas_of, spelled, unique_keys
from scim.errors import BusyException, refusal
from scim.mapping import actor, meta
from scim.patch import operations_of, patched
from scim.projection import Projection
from scim.resources import Resources
from scim.schemas import JSON, ResourceKind

ATTEMPTS = 5

Change = Callable[[ResourceKind, JSON], JSON]


class DataResources(Resources[DataDocument]):
    subject = "resource"

    def __init__(self, name: str, endpoint: str) -> None:
        self.name, self.endpoint = name, endpoint  # type: ignore[misc]
        self.table = table_of(name)

    def version_of(self, found: DataDocument) -> int:
        return found.version

    def resource_of(self, found: DataDocument, kind: ResourceKind, wanted: Projection) -> JSON:
        location = f"{responses.base()}{kind.endpoint}/{found.id}"
        return {
            "schemas": schemas_of(kind, found.resource),
            "id": str(found.id),
            **found.resource,
            "meta": meta(kind.name, location, found),
        }

    def create(self, call: Call) -> Answer:
        kind = self.kind(call.caller)
        wanted = self._wanted(call, kind, canonical(kind, call.body()))
        return self._written(call, kind, service.create(wanted), 201)

    def replace(self, call: Call) -> Answer:
        def change(kind: ResourceKind, held: JSON) -> JSON:
            sent = canonical(kind, call.body())
            return replacing(kind, held, {key: held[key] for key in ("externalId",) if key in held} | sent)

        return self._changed(call, change)

    def patch(self, call: Call) -> Answer:
        return self._changed(call, lambda kind, held: patched(kind, held, operations_of(call.body())))

    def delete(self, call: Call) -> Answer:
        expected = None
        if call.if_match is not None:
            expected = self.current(call)[0].version
            self.demand_version(call.if_match, expected)
        resource_id = self.addressed(call)
        kind = self.kind(call.caller)
        outcome = service.delete(self._wanted(call, kind, {}, resource_id, expected))
        if outcome.verdict is not Verdict.APPLIED:
            raise self._refused(call, outcome)
        return Answer(status=204, target_id=resource_id)

    def _changed(self, call: Call, change: Change) -> Answer:
        for _ in range(ATTEMPTS):
            held, kind = self.current(call)
            self.demand_version(call.if_match, held.version)
            wanted = self._wanted(call, kind, change(kind, held.resource), held.id, held.version)
            outcome = service.replace(wanted)
            if outcome.verdict is not Verdict.STALE:
                return self._written(call, kind, outcome)
            if call.if_match is not None:
                raise self._refused(call, outcome)
        raise BusyException

    def _wanted(
        self,
        call: Call,
        kind: ResourceKind,
        resource: JSON,
        resource_id: UUID | None = None,
        expected_version: int | None = None,
    ) -> DataWrite:
        caller = call.caller
        return DataWrite(
            tenant_id=caller.tenant_id,
            connection_id=caller.connection_id,
            kind=self.name,
            at=call.at,
            actor=actor(caller),
            request_id=call.request_id,
            resource_id=resource_id,
            resource=resource,
            external_id=resource.get("externalId"),
            unique_keys=unique_keys(kind, resource),
            expected_version=expected_version,
        )

    def _written(self, call: Call, kind: ResourceKind, outcome: DataOutcome, status: int = 200) -> Answer:
        if outcome.verdict is Verdict.REFUSED:
            raise self._refused(call, outcome)
        caller = call.caller
        found = outcome.resource_id and document(
            tenant_id=caller.tenant_id,
            connection_id=caller.connection_id,
            kind=self.name,
            resource_id=outcome.resource_id,
        )
        if not found:
            raise refusal("resource:unknown")
        return self.shown(call, found, kind, status)

    def _refused(self, call: Call, outcome: DataOutcome) -> SCIMException:
        if outcome.taken:
            return UniquenessException(
                detail=f"{spelled(self.kind(call.caller), outcome.taken)}: another {self.name} has this value."
            )
        return refusal("resource:stale" if outcome.verdict is Verdict.STALE else "resource:unknown")


TEST_RESOURCES = DataResources(conformance.NAME, conformance.ENDPOINT)
