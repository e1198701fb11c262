"""Users: from a call to one observation, and back to a resource. Decides nothing about people."""

from collections.abc import Callable
from uuid import UUID

from provisioning import services
from provisioning.decision.types import Intent, Outcome, Verdict
from provisioning.selectors.accounts import ACCOUNTS, AccountDocument, document
from scim import responses
from scim.calls import Answer, Call
from scim.documents import canonical, replacing, spelled
from scim.errors import BusyException, refusal
from scim.mapping import instant, observation, said_of, user_resource
from scim.patch import operations_of, patched
from scim.projection import Projection
from scim.resources import Resources
from scim.schemas import JSON, ResourceKind

ATTEMPTS = 5
# RFC 7644 3.5.1 lets a server keep what a PUT leaves out: an omission revives nobody and loses no key.
KEPT_BY_PUT = ("active", "externalId")

Change = Callable[[ResourceKind, JSON, object], JSON]
"""From what is held and the body of a request to the whole new document."""


def begun(kind: ResourceKind, body: object) -> JSON:
    """The document that a POST begins with."""
    return {"active": True} | canonical(kind, body)


def replaced(kind: ResourceKind, held: JSON, body: object) -> JSON:
    kept = {key: held[key] for key in KEPT_BY_PUT if key in held}
    return replacing(kind, held, kept | canonical(kind, body))


def stepped(kind: ResourceKind, held: JSON, body: object) -> JSON:
    return patched(kind, held, operations_of(body))


class Users(Resources[AccountDocument]):
    name, endpoint, subject = "User", "Users", "account"
    table = ACCOUNTS

    def version_of(self, found: AccountDocument) -> int:
        return found.version

    def resource_of(self, found: AccountDocument, kind: ResourceKind, wanted: Projection) -> JSON:
        return user_resource(found, kind, responses.base())

    def related(self, wanted: Projection) -> str:
        return "groups" if wanted.shows("groups") else ""

    def create(self, call: Call) -> Answer:
        kind = self.kind(call.caller)
        outcome = self._submitted(call, kind, Intent.CREATE, document=begun(kind, call.body()))
        # 201 also for somebody whom a login had made, or who comes back, under the id that she has already:
        # provisioning clients take every other answer to a POST for a failure.
        return self._written(call, kind, outcome, 201)

    def replace(self, call: Call) -> Answer:
        return self._changed(call, replaced)

    def patch(self, call: Call) -> Answer:
        return self._changed(call, stepped)

    def delete(self, call: Call) -> Answer:
        expected = None
        if call.if_match is not None:
            expected = self.current(call, related="")[0].version
            self.demand_version(call.if_match, expected)
        account_id = self.addressed(call)
        outcome = self._submitted(
            call, self.kind(call.caller), Intent.DELETE, account_id=account_id, expected_version=expected
        )
        return Answer(status=204, target_id=account_id, reason=outcome.reason)

    def _changed(self, call: Call, change: Change) -> Answer:
        """Reads, computes the whole new resource, submits it for the version read; again if that is old."""
        for _ in range(ATTEMPTS):
            held, kind = self.current(call)
            self.demand_version(call.if_match, held.version)
            outcome = self._submitted(
                call,
                kind,
                Intent.UPDATE,
                document=change(kind, said_of(held), call.body()),
                account_id=held.id,
                expected_version=held.version,
            )
            if outcome.verdict is not Verdict.STALE:
                return self._written(call, kind, outcome, groups=held.groups)
            if call.if_match is not None:
                raise refusal(outcome.reason)
        raise BusyException

    def _submitted(
        self,
        call: Call,
        kind: ResourceKind,
        intent: Intent,
        *,
        document: JSON | None = None,
        account_id: UUID | None = None,
        expected_version: int | None = None,
    ) -> Outcome:
        outcome = services.submit(
            observation(
                call.caller,
                intent,
                kind=kind,
                at=call.at,
                request_id=call.request_id,
                document=document,
                account_id=account_id,
                expected_version=expected_version,
            )
        )
        if outcome.verdict is Verdict.REFUSED or (intent is Intent.DELETE and not outcome.accepted):
            raise refusal(outcome.reason, attribute=spelled(kind, outcome.detail.get("attribute", "")))
        return outcome

    def _written(
        self,
        call: Call,
        kind: ResourceKind,
        outcome: Outcome,
        status: int = 200,
        groups: list[tuple[str, str]] | None = None,
    ) -> Answer:
        """What was written, as a reader would read it now; `groups` None are those of a new account."""
        if call.brief:
            return self.told(outcome.account_id, outcome.version, status, outcome.reason)
        if outcome.account_id is None or outcome.written is None:
            raise refusal("account:unknown")
        if groups is None and not outcome.created:
            caller = call.caller
            held = document(
                tenant_id=caller.tenant_id, connection_id=caller.connection_id, account_id=outcome.account_id
            )
            groups = held.groups if held is not None else []
        found = AccountDocument(
            id=outcome.account_id,
            version=outcome.written.version,
            active=outcome.written.active,
            resource=dict(outcome.written.resource),
            created_at=instant(outcome.written.created_at),
            updated_at=instant(outcome.written.updated_at),
            groups=groups or [],
        )
        answer = self.shown(call, found, kind, status)
        answer.reason = outcome.reason
        return answer


USERS = Users()
