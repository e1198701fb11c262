"""/Groups: from a request to one group observation, and back to a resource. Loads no member to change one."""

from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from identity_hub.core.clock import now
from identity_hub.core.request_id import current_request_id
from provisioning.decision.types import Intent, Outcome
from provisioning.selectors import groups
from provisioning.selectors.groups import GroupDocument
from provisioning.services.groups import submit_group
from scim import responses
from scim.errors import refusal
from scim.filters import compiled
from scim.mapping import group_observation, group_resource
from scim.membership import GroupChange, change_of, whole_change
from scim.patch import operations_of
from scim.projection import Projection
from scim.requests import body_of, page_of, parameter, versions
from scim.schemas import GROUP, JSON
from scim.views import ResourceEndpoint

# Of a larger group the body would cost more than the change; RFC 7644 3.5.2 allows 204.
LARGEST_ECHO = 200


class _Groups(ResourceEndpoint):
    kind, subject = GROUP, "group"

    def _submit(
        self,
        intent: Intent,
        change: GroupChange,
        group_id: UUID | None = None,
        expected_version: int | None = None,
    ) -> Outcome:
        skip = self.caller.unknown_member == "skip"
        outcome = submit_group(
            group_observation(
                self.caller,
                intent,
                change,
                at=now(),
                request_id=current_request_id(),
                group_id=group_id,
                expected_version=expected_version,
            ),
            skip_unknown=skip,
        )
        if not outcome.accepted:
            raise refusal(outcome.reason)
        return outcome

    def _group(self, uuid: str, *, members: bool) -> GroupDocument:
        group = groups.document(
            tenant_id=self.caller.tenant_id,
            connection_id=self.caller.connection_id,
            group_id=self._known(uuid),
            members=members,
        )
        if group is None:
            raise refusal("group:unknown")
        return group

    def _expected(self, uuid: str) -> int | None:
        """The version that If-Match asks for; None without it, 412 where the group has another."""
        wanted = versions(self.request, "If-Match")
        return None if wanted is None else self._agreed(wanted, self._group(uuid, members=False).version)

    def _shows_members(self) -> bool:
        return self._projection().shows("members")

    def _shown(self, group: GroupDocument, status: int = 200) -> HttpResponse:
        if self._is_held(group.version):
            return responses.not_modified(group.version)
        document, shown = self._document(group, self._projection())
        return responses.resource(document, shown, status)

    def _document(self, group: GroupDocument, wanted: Projection) -> tuple[JSON, JSON]:
        """(the whole resource, what the projection shows of it)."""
        document = group_resource(group, responses.base(), display=wanted.names("members", "display"))
        return document, wanted.of(document)


class GroupsView(_Groups):
    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        wanted, page = self._projection(), page_of(request)
        condition = parameter(request, "filter")
        total, found = groups.page(
            tenant_id=self.caller.tenant_id,
            connection_id=self.caller.connection_id,
            conditions=compiled(GROUP, condition) if condition else Q(),
            offset=page.start - 1,
            limit=page.count,
            members=wanted.shows("members"),
        )
        return responses.listed([self._document(row, wanted)[1] for row in found], total, page.start)

    def post(self, request: HttpRequest) -> HttpResponse:
        outcome = self._submit(Intent.CREATE, whole_change(body_of(request)))
        return self._shown(self._group(str(outcome.account_id), members=self._shows_members()), 201)


class GroupView(_Groups):
    http_method_names = ["get", "head", "put", "patch", "delete"]

    def get(self, request: HttpRequest, uuid: str) -> HttpResponse:
        return self._shown(self._group(uuid, members=self._shows_members()))

    def put(self, request: HttpRequest, uuid: str) -> HttpResponse:
        self._submit(Intent.UPDATE, whole_change(body_of(request)), self._known(uuid), self._expected(uuid))
        return self._shown(self._group(uuid, members=self._shows_members()))

    def patch(self, request: HttpRequest, uuid: str) -> HttpResponse:
        change = change_of(operations_of(body_of(request)))
        group_id = self._known(uuid)
        outcome = self._submit(Intent.UPDATE, change, group_id, self._expected(uuid))
        members = self._shows_members()
        if members and self._is_large(group_id):
            return responses.no_content(outcome.version)
        return self._shown(self._group(uuid, members=members))

    def delete(self, request: HttpRequest, uuid: str) -> HttpResponse:
        self._submit(Intent.DELETE, GroupChange(), self._known(uuid), self._expected(uuid))
        return responses.no_content()

    def _is_large(self, group_id: UUID) -> bool:
        counted = groups.member_count(
            tenant_id=self.caller.tenant_id, group_id=group_id, at_most=LARGEST_ECHO + 1
        )
        return counted > LARGEST_ECHO
