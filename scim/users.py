"""/Users: from a request to one observation, and back to a resource. Decides nothing about people."""

from collections.abc import Callable
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning import services
from provisioning.decision.types import Intent, Outcome, Verdict
from provisioning.selectors import accounts
from provisioning.selectors.accounts import AccountDocument
from scim import responses
from scim.documents import canonical
from scim.errors import BusyException, refusal
from scim.filters import compiled
from scim.mapping import observation, said_of, user_resource
from scim.patch import operations_of, patched
from scim.requests import body_of, page_of, parameter, versions
from scim.schemas import JSON, USER
from scim.views import ResourceEndpoint

ATTEMPTS = 5
# RFC 7644 3.5.1 lets a server keep what a PUT leaves out: an omission revives nobody and loses no key.
KEPT_BY_PUT = ("active", "externalId")

Change = Callable[[JSON], JSON]


class _Users(ResourceEndpoint):
    kind, subject = USER, "account"

    def _submit(
        self,
        intent: Intent,
        *,
        document: JSON | None = None,
        account_id: UUID | None = None,
        expected_version: int | None = None,
    ) -> Outcome:
        outcome = services.submit(
            observation(
                self.caller,
                intent,
                at=now(),
                request_id=current_request_id(),
                document=document,
                account_id=account_id,
                expected_version=expected_version,
            )
        )
        if outcome.verdict is Verdict.REFUSED or (intent is Intent.DELETE and not outcome.accepted):
            raise refusal(outcome.reason)
        return outcome

    def _account(self, uuid: str) -> AccountDocument:
        account = accounts.document(
            tenant_id=self.caller.tenant_id,
            connection_id=self.caller.connection_id,
            account_id=self._known(uuid),
        )
        if account is None:
            raise refusal("account:unknown")
        return account

    def _shown(self, account: AccountDocument, status: int = 200) -> HttpResponse:
        if self._is_held(account.version):
            return responses.not_modified(account.version)
        document = user_resource(account, responses.base())
        return responses.resource(document, self._projection().of(document), status)


class UsersView(_Users):
    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        wanted, page = self._projection(), page_of(request)
        condition = parameter(request, "filter")
        total, found = accounts.page(
            tenant_id=self.caller.tenant_id,
            connection_id=self.caller.connection_id,
            conditions=compiled(USER, condition) if condition else Q(),
            offset=page.start - 1,
            limit=page.count,
        )
        base = responses.base()
        return responses.listed([wanted.of(user_resource(row, base)) for row in found], total, page.start)

    def post(self, request: HttpRequest) -> HttpResponse:
        document = {"active": True} | canonical(USER, body_of(request))
        outcome = self._submit(Intent.CREATE, document=document)
        # 201 also for somebody whom a login had made, or who comes back, under the id that she has already:
        # provisioning clients take every other answer to a POST for a failure.
        return self._shown(self._account(str(outcome.account_id)), 201)


class UserView(_Users):
    http_method_names = ["get", "head", "put", "patch", "delete"]

    def get(self, request: HttpRequest, uuid: str) -> HttpResponse:
        return self._shown(self._account(uuid))

    def put(self, request: HttpRequest, uuid: str) -> HttpResponse:
        sent = canonical(USER, body_of(request))
        return self._changed(uuid, lambda held: {key: held[key] for key in KEPT_BY_PUT if key in held} | sent)

    def patch(self, request: HttpRequest, uuid: str) -> HttpResponse:
        operations = operations_of(body_of(request))
        return self._changed(uuid, lambda held: patched(USER, held, operations))

    def delete(self, request: HttpRequest, uuid: str) -> HttpResponse:
        wanted = versions(request, "If-Match")
        expected = None if wanted is None else self._agreed(wanted, self._account(uuid).version)
        self._submit(Intent.DELETE, account_id=self._known(uuid), expected_version=expected)
        return responses.no_content()

    def _changed(self, uuid: str, change: Change) -> HttpResponse:
        """Reads, computes the whole new resource, submits it for the version read; again if that is old."""
        wanted = versions(self.request, "If-Match")
        for _ in range(ATTEMPTS):
            account = self._account(uuid)
            if wanted is not None:
                self._agreed(wanted, account.version)
            outcome = self._submit(
                Intent.UPDATE,
                document=change(said_of(account)),
                account_id=account.id,
                expected_version=account.version,
            )
            if outcome.verdict is not Verdict.STALE:
                return self._shown(self._account(uuid))
            if wanted is not None:
                raise refusal(outcome.reason)
        raise BusyException
