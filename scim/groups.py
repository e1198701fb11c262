"""Groups: from a call to one group observation, and back to a resource. Loads no member to change one."""

from uuid import UUID

from provisioning.decision.types import Intent, Outcome, Verdict
from provisioning.selectors import accounts
from provisioning.selectors.groups import GROUPS as TABLE
from provisioning.selectors.groups import GroupDocument
from provisioning.services.groups import COUNTED, submit_group
from scim import responses
from scim.calls import Answer, Call
from scim.errors import BusyException, refusal
from scim.mapping import MEMBER, group_observation, group_resource
from scim.membership import GroupChange, People, change_of, whole_change
from scim.patch import operations_of
from scim.projection import Projection
from scim.resources import Resources
from scim.schemas import JSON, ResourceKind

ATTEMPTS = 5


class Groups(Resources[GroupDocument]):
    name, endpoint, subject = "Group", "Groups", "group"
    table = TABLE

    def version_of(self, found: GroupDocument) -> int:
        return found.version

    def resource_of(self, found: GroupDocument, kind: ResourceKind, wanted: Projection) -> JSON:
        return group_resource(found, kind, responses.base(), whole=wanted.whole("members", MEMBER))

    def related(self, wanted: Projection) -> str:
        if not wanted.shows("members"):
            return ""
        return "names" if wanted.names("members", "display") else "members"

    def create(self, call: Call) -> Answer:
        kind = self.kind(call.caller)
        change = whole_change(call.body(), kind)
        outcome = self._submitted(call, Intent.CREATE, change, call.new_id)
        return self._written(call, outcome, 201)

    def replace(self, call: Call) -> Answer:
        kind = self.kind(call.caller)
        return self._written(call, self._changed(call, kind, whole_change(call.body(), kind)))

    def patch(self, call: Call) -> Answer:
        kind = self.kind(call.caller)
        outcome = self._changed(call, kind, change_of(operations_of(call.body()), kind))
        if not call.brief and outcome.size is not None and outcome.size > COUNTED:
            # The body would cost more than the change; RFC 7644 3.5.2 allows 204.
            wanted = self.projection(call, kind)
            if wanted.shows("members"):
                return Answer(
                    status=204,
                    version=outcome.version,
                    target_id=outcome.account_id,
                    reason=outcome.reason,
                )
        return self._written(call, outcome)

    def _changed(self, call: Call, kind: ResourceKind, change: GroupChange) -> Outcome:
        """What must be computed from what the group has is computed again where that is old by then."""
        group_id = self.addressed(call)
        if not change.pending(kind):
            return self._submitted(call, Intent.UPDATE, change, group_id, self._expected(call))
        for _ in range(ATTEMPTS):
            held, kind = self._held(call, change)
            self.demand_version(call.if_match, held.version)
            final = change.settled(kind, held.resource, self._people(call, change, held))
            outcome = self._asked(call, Intent.UPDATE, final, group_id, held.version)
            if outcome.verdict is not Verdict.STALE or call.if_match is not None:
                return self._accepted(outcome)
        raise BusyException

    def _held(self, call: Call, change: GroupChange) -> tuple[GroupDocument, ResourceKind]:
        if not change.choosing:
            return self.current(call, related="")
        return call.patience.limited(lambda: self.current(call, related="names"))

    def _people(self, call: Call, change: GroupChange, held: GroupDocument) -> People:
        caller = call.caller
        given = accounts.names(
            tenant_id=caller.tenant_id, connection_id=caller.connection_id, account_ids=change.given()
        )
        held_ = dict(zip(held.members, held.names, strict=False))
        return People(held=held_, given=given, base=responses.base())

    def delete(self, call: Call) -> Answer:
        group_id = self.addressed(call)
        outcome = self._submitted(call, Intent.DELETE, GroupChange(), group_id, self._expected(call))
        return Answer(status=204, target_id=group_id, reason=outcome.reason)

    def _expected(self, call: Call) -> int | None:
        """The version that If-Match asks for; None without it, 412 where the group has another."""
        if call.if_match is None:
            return None
        version = self.current(call, related="")[0].version
        self.demand_version(call.if_match, version)
        return version

    def _submitted(
        self,
        call: Call,
        intent: Intent,
        change: GroupChange,
        group_id: UUID | None = None,
        expected_version: int | None = None,
    ) -> Outcome:
        return self._accepted(self._asked(call, intent, change, group_id, expected_version))

    def _accepted(self, outcome: Outcome) -> Outcome:
        if not outcome.accepted:
            raise refusal(outcome.reason)
        return outcome

    def _asked(
        self,
        call: Call,
        intent: Intent,
        change: GroupChange,
        group_id: UUID | None,
        expected_version: int | None,
    ) -> Outcome:
        caller = call.caller
        return submit_group(
            group_observation(
                caller,
                intent,
                change,
                at=call.at,
                request_id=call.request_id,
                group_id=group_id,
                expected_version=expected_version,
            ),
            skip_unknown=caller.unknown_member == "skip",
        )

    def _written(self, call: Call, outcome: Outcome, status: int = 200) -> Answer:
        if call.brief:
            return self.told(outcome.account_id, outcome.version, status, outcome.reason)
        found, kind = self.current(_addressed_to(call, outcome))
        answer = self.shown(call, found, kind, status)
        answer.reason = outcome.reason
        return answer


def _addressed_to(call: Call, outcome: Outcome) -> Call:
    call.resource_id = str(outcome.account_id)
    return call


GROUPS = Groups()
