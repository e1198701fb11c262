"""How rows read in JSON, and which questions a list answers. Knows no request."""

from typing import Any

from rest_framework import serializers

from provisioning.models import (
    Account,
    AuditRecord,
    Finding,
    Hold,
    Identity,
    ReconciliationItem,
    ReconciliationRun,
)
from provisioning.selectors.timeline import meaning


class HoldShape(serializers.ModelSerializer):
    class Meta:
        model = Hold
        fields = ["kind", "source_account_id", "reason", "placed_by", "placed_at"]


class AccountShape(serializers.ModelSerializer):
    tenant_id = serializers.UUIDField()
    connection_id = serializers.UUIDField()
    identity_id = serializers.UUIDField(allow_null=True)
    lifecycle_owner = serializers.CharField(help_text="Like origin: who ends the account's life.")

    class Meta:
        model = Account
        fields = [
            "id",
            "tenant_id",
            "connection_id",
            "identity_id",
            "user_name",
            "external_id",
            "active",
            "origin",
            "lifecycle_owner",
            "confirmed_at",
            "link_rule",
            "linked_at",
            "last_login_at",
            "version",
            "created_at",
            "updated_at",
            "deleted_at",
        ]


class AccountOfIdentityShape(serializers.ModelSerializer):
    connection_id = serializers.UUIDField()

    class Meta:
        model = Account
        fields = [
            "id",
            "connection_id",
            "user_name",
            "external_id",
            "active",
            "confirmed_at",
            "last_login_at",
        ]


class IdentityShape(serializers.ModelSerializer):
    tenant_id = serializers.UUIDField(allow_null=True)
    enabled = serializers.BooleanField(help_text="No hold, and a live account (or a local identity).")
    holds = HoldShape(many=True)
    accounts = AccountOfIdentityShape(many=True, source="live_accounts", help_text="Live accounts only.")

    class Meta:
        model = Identity
        fields = [
            "id",
            "tenant_id",
            "kind",
            "local",
            "enabled",
            "user_name",
            "email",
            "display_name",
            "given_name",
            "family_name",
            "department",
            "title",
            "created_at",
            "updated_at",
            "holds",
            "accounts",
        ]


class FindingShape(serializers.ModelSerializer):
    tenant_id = serializers.UUIDField()
    connection_id = serializers.UUIDField(allow_null=True)
    account_id = serializers.UUIDField(allow_null=True)
    identity_id = serializers.UUIDField(allow_null=True)
    meaning = serializers.SerializerMethodField()
    candidates = serializers.ListField(child=serializers.UUIDField())
    evidence = serializers.DictField()

    class Meta:
        model = Finding
        fields = [
            "id",
            "tenant_id",
            "connection_id",
            "account_id",
            "identity_id",
            "kind",
            "meaning",
            "severity",
            "status",
            "candidates",
            "evidence",
            "opened_at",
            "decided_at",
            "decided_by",
            "decision_reason",
        ]

    def get_meaning(self, finding: Finding) -> str:
        return meaning(finding.kind)


class RunShape(serializers.ModelSerializer):
    tenant_id = serializers.UUIDField()
    connection_id = serializers.UUIDField()
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Items by reason code.")

    class Meta:
        model = ReconciliationRun
        fields = [
            "id",
            "tenant_id",
            "connection_id",
            "status",
            "requested_by",
            "started_at",
            "simulated_at",
            "finished_at",
            "population",
            "destructive",
            "counts",
            "note",
        ]


class ItemShape(serializers.ModelSerializer):
    run_id = serializers.UUIDField()
    account_id = serializers.UUIDField(allow_null=True)
    identity_id = serializers.UUIDField(allow_null=True)
    meaning = serializers.SerializerMethodField()
    plan = serializers.ListField(child=serializers.DictField())
    inverse = serializers.ListField(child=serializers.DictField())
    evidence = serializers.DictField()

    class Meta:
        model = ReconciliationItem
        fields = [
            "id",
            "run_id",
            "check_name",
            "account_id",
            "identity_id",
            "situation",
            "reason",
            "meaning",
            "destructive",
            "status",
            "plan",
            "inverse",
            "evidence",
            "decided_at",
        ]

    def get_meaning(self, item: ReconciliationItem) -> str:
        return meaning(item.reason)


class AuditShape(serializers.ModelSerializer):
    meaning = serializers.SerializerMethodField()
    changes = serializers.ListField(
        child=serializers.DictField(), help_text="By name and id; never a personal value."
    )

    class Meta:
        model = AuditRecord
        fields = [
            "id",
            "tenant_id",
            "at",
            "request_id",
            "actor_kind",
            "actor_id",
            "channel",
            "intent",
            "situation",
            "verdict",
            "reason",
            "meaning",
            "connection_id",
            "account_id",
            "identity_id",
            "object_id",
            "changes",
        ]

    def get_meaning(self, record: AuditRecord) -> str:
        return meaning(record.reason)


class Question(serializers.Serializer):
    """The query of a list. Each field says in its label which column answers it; an unknown one is refused."""

    tenant = serializers.CharField(
        required=False, help_text="Slug or id. An installation superuser reads every tenant without it."
    )
    cursor = serializers.CharField(
        required=False, help_text="Where the page begins; taken from next or previous."
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=200, help_text="Rows a page; 50 if unsaid."
    )
    shape = ("tenant", "cursor", "limit")

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        # A filter that is not understood must not answer with everybody.
        if strange := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError({name: ["This list has no such filter."] for name in strange})
        return asked

    def conditions(self) -> dict[str, Any]:
        """Look-ups for `filter`, by column."""
        return {
            self.fields[name].label or name: value
            for name, value in self.validated_data.items()
            if name not in Question.shape
        }


def _text(column: str = "", **options: Any) -> serializers.CharField:
    return serializers.CharField(required=False, label=column or None, max_length=512, **options)


def _id(column: str) -> serializers.UUIDField:
    return serializers.UUIDField(required=False, label=column)


class IdentityQuestion(Question):
    user_name = _text("user_name_key__iexact", help_text="The whole userName, without case.")
    email = _text("email_key__iexact", help_text="The whole e-mail, without case.")
    kind = serializers.ChoiceField(required=False, choices=Identity.Kind.choices)
    enabled = serializers.BooleanField(required=False, allow_null=True, default=None)

    def conditions(self) -> dict[str, Any]:
        return {name: value for name, value in super().conditions().items() if value is not None}


class AccountQuestion(Question):
    connection = _id("connection_id")
    identity = _id("identity_id")
    user_name = _text("user_name_key__iexact", help_text="The whole userName, without case.")
    external_id = _text(help_text="The whole externalId.")
    live = serializers.BooleanField(required=False, allow_null=True, default=None)

    def conditions(self) -> dict[str, Any]:
        conditions = super().conditions()
        if (live := conditions.pop("live")) is not None:
            conditions["deleted_at__isnull"] = live
        return conditions


class FindingQuestion(Question):
    status = serializers.ChoiceField(required=False, choices=Finding.Status.choices)
    severity = serializers.ChoiceField(required=False, choices=["low", "medium", "high"])
    kind = _text()
    connection = _id("connection_id")
    identity = _id("identity_id")


class RunQuestion(Question):
    status = serializers.ChoiceField(required=False, choices=ReconciliationRun.Status.choices)
    connection = _id("connection_id")


class ItemQuestion(Question):
    status = serializers.ChoiceField(required=False, choices=ReconciliationItem.Status.choices)
    reason = _text()
    check_name = _text()


class AuditQuestion(Question):
    identity = _id("identity_id")
    account = _id("account_id")
    connection = _id("connection_id")
    object = _id("object_id")
    reason = _text()
    verdict = _text()
    request_id = _text()
    since = serializers.DateTimeField(required=False, label="at__gte")
