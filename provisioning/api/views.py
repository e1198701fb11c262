"""The resources of the operations API. Each list takes its tenant first, then its question."""

from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from drf_spectacular.views import SpectacularAPIView
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.routers import APIRootView
from rest_framework.viewsets import ReadOnlyModelViewSet

from identity_hub.core.ids import as_uuid
from provisioning.models import (
    Account,
    AuditRecord,
    Finding,
    Identity,
    Override,
    ReconciliationItem,
    ReconciliationRun,
    ScimRequest,
)
from provisioning.selectors import merges, request_log

from . import shapes
from .access import IsStaff, StaffSession, tenant_of
from .pages import Pages


class Problem(serializers.Serializer):
    detail = serializers.CharField()


_REFUSALS = {
    401: OpenApiResponse(Problem, "No session, or its owner is not enabled any more."),
    403: OpenApiResponse(Problem, "Not an administrator."),
    404: OpenApiResponse(Problem, "Not there, or another tenant's."),
}


_MISUNDERSTOOD = OpenApiResponse(
    description="A filter that this list does not have, or a value it cannot take."
)
_KEY = OpenApiParameter("id", str, OpenApiParameter.PATH)


class Resource(ReadOnlyModelViewSet):
    authentication_classes = [StaffSession]
    permission_classes = [IsStaff]
    pagination_class = Pages
    question: type[shapes.Question]
    tenant_column = "tenant_id"

    def rows(self) -> QuerySet[Any]:
        """Everything of this resource; `get_queryset` narrows it to the tenant before anybody looks."""
        return self.queryset.all()

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset.none()
        asked = self.question(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        tenant_id = tenant_of(self.request, asked.validated_data.get("tenant", ""))
        rows = self.rows()
        if tenant_id is not None:
            rows = rows.filter(**{self.tenant_column: tenant_id})
        return self.answering(rows, asked, tenant_id) if self.action == "list" else rows

    def answering(self, rows: QuerySet[Any], asked: shapes.Question, tenant_id: UUID | None) -> QuerySet[Any]:
        """Those of the tenant's rows that a list's question means."""
        return rows.filter(**asked.conditions())

    def get_object(self) -> Any:
        key = self.queryset.model._meta.pk
        named = self.kwargs["pk"]
        if key.get_internal_type() == "UUIDField":
            if as_uuid(named) is None:
                raise NotFound
        elif not (named.isascii() and named.isdigit() and len(named) < 19):
            raise NotFound
        return super().get_object()


def _described(resource: str, question: type[shapes.Question], shape: type[serializers.Serializer]) -> Any:
    return extend_schema_view(
        list=extend_schema(
            summary=f"List {resource}",
            parameters=[question],
            responses={200: shape(many=True), 400: _MISUNDERSTOOD, **_REFUSALS},
        ),
        retrieve=extend_schema(
            summary=f"One of the {resource}", parameters=[_KEY], responses={200: shape, **_REFUSALS}
        ),
    )


@_described("identities", shapes.IdentityQuestion, shapes.IdentityShape)
class Identities(Resource):
    queryset = Identity.objects.all()
    serializer_class = shapes.IdentityShape
    question = shapes.IdentityQuestion

    def rows(self) -> QuerySet[Identity]:
        live = Account.objects.filter(deleted_at__isnull=True)
        overrides = Override.objects.filter(ended_at__isnull=True)
        return Identity.objects.with_state().prefetch_related(
            "holds",
            Prefetch("accounts", queryset=live, to_attr="live_accounts"),
            Prefetch("overrides", queryset=overrides, to_attr="live_overrides"),
        )


@_described("accounts", shapes.AccountQuestion, shapes.AccountShape)
class Accounts(Resource):
    queryset = Account.objects.all()
    serializer_class = shapes.AccountShape
    question = shapes.AccountQuestion


@_described("findings", shapes.FindingQuestion, shapes.FindingShape)
class Findings(Resource):
    queryset = Finding.objects.with_due()
    serializer_class = shapes.FindingShape
    question = shapes.FindingQuestion


@_described("reconciliation runs", shapes.RunQuestion, shapes.RunShape)
class Runs(Resource):
    queryset = ReconciliationRun.objects.all()
    serializer_class = shapes.RunShape
    question = shapes.RunQuestion


@_described("items of a run", shapes.ItemQuestion, shapes.ItemShape)
class Items(Resource):
    queryset = ReconciliationItem.objects.all()
    serializer_class = shapes.ItemShape
    question = shapes.ItemQuestion

    def rows(self) -> QuerySet[ReconciliationItem]:
        run = as_uuid(self.kwargs["run"])
        if run is None:
            raise NotFound
        return ReconciliationItem.objects.filter(run_id=run)


@_described("audit records", shapes.AuditQuestion, shapes.AuditShape)
class Audit(Resource):
    queryset = AuditRecord.objects.all()
    serializer_class = shapes.AuditShape
    question = shapes.AuditQuestion

    def answering(self, rows: QuerySet[Any], asked: shapes.Question, tenant_id: UUID | None) -> QuerySet[Any]:
        """About an identity: under every id that has meant it."""
        key = asked.validated_data.pop("identity", None)
        rows = super().answering(rows, asked, tenant_id)
        if key is None:
            return rows
        people = Identity.objects.filter(pk=key)
        identity = (people if tenant_id is None else people.filter(tenant_id=tenant_id)).first()
        return rows.filter(identity_id__in=merges.all_ids(identity) if identity else [key])


@_described("SCIM requests", shapes.ScimRequestQuestion, shapes.ScimRequestShape)
class ScimRequests(Resource):
    queryset = ScimRequest.objects.all()
    serializer_class = shapes.ScimRequestShape
    question = shapes.ScimRequestQuestion

    def answering(self, rows: QuerySet[Any], asked: shapes.Question, tenant_id: UUID | None) -> QuerySet[Any]:
        rows = super().answering(rows, asked, tenant_id)
        if person := asked.validated_data.get("person"):
            rows = request_log.about_key(rows, person, tenant_id=tenant_id)
        if key := asked.validated_data.get("identity"):
            people = Identity.objects.filter(pk=key)
            identity = (people if tenant_id is None else people.filter(tenant_id=tenant_id)).first()
            rows = request_log.about(rows, identity) if identity else rows.none()
        return rows


class Index(APIRootView):
    """Where the resources are, for somebody who looks around."""

    authentication_classes = [StaffSession]
    permission_classes = [IsStaff]


class Schema(SpectacularAPIView):
    """The OpenAPI description of this API: names of resources and filters, no row of anybody."""

    authentication_classes = []
    permission_classes = []
