"""How rows read in JSON, and which questions a list answers. Knows no request."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from provisioning.decision.keys import fold
from provisioning.decision.types import Severity
from provisioning.models import (
    Account,
    AuditRecord,
    Finding,
    Hold,
    Identity,
    Override,
    ReconciliationItem,
    ReconciliationRun,
    ScimRequest,
)
from provisioning.models.requests import wording
from provisioning.selectors.timeline import meaning


class Meaning(serializers.ReadOnlyField):
    """The sentence of the code that `source` names."""

    def to_representation(self, value: str) -> str:
        return meaning(value)


class Wording(serializers.ReadOnlyField):
    """The action that `source` names, in words."""

    def to_representation(self, value: str) -> str:
        return wording(value)


class HoldShape(serializers.ModelSerializer):
    class Meta:
        model = Hold
        fields = ["kind", "source_account_id", "reason", "placed_by", "placed_at"]


class OverrideShape(serializers.ModelSerializer):
    class Meta:
        model = Override
        fields = ["attribute", "value", "reason", "set_by", "set_at", "until"]


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
    merged_into_id = serializers.UUIDField(
        allow_null=True, help_text="The identity that stands for this one since the two were merged."
    )
    holds = HoldShape(many=True)
    overrides = OverrideShape(
        many=True,
        source="live_overrides",
        help_text="What an administrator shows in place of what the sources say. A list is filtered by the e-mail that "
        "the sources say.",
    )
    accounts = AccountOfIdentityShape(many=True, source="live_accounts", help_text="Live accounts only.")

    class Meta:
        model = Identity
        fields = [
            "id",
            "tenant_id",
            "kind",
            "local",
            "enabled",
            "merged_into_id",
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
            "overrides",
            "accounts",
        ]


class FindingShape(serializers.ModelSerializer):
    tenant_id = serializers.UUIDField()
    connection_id = serializers.UUIDField(allow_null=True)
    account_id = serializers.UUIDField(allow_null=True)
    identity_id = serializers.UUIDField(allow_null=True)
    meaning = Meaning(source="kind")
    candidates = serializers.ListField(child=serializers.UUIDField())
    evidence = serializers.DictField()
    owner_id = serializers.UUIDField(allow_null=True)
    due = serializers.DateTimeField()

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
            "owner_id",
            "due",
            "opened_at",
            "seen_at",
            "decided_at",
            "decided_by",
            "decision_reason",
        ]


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
    meaning = Meaning(source="reason")
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


class AuditShape(serializers.ModelSerializer):
    meaning = Meaning(source="reason")
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


class ScimRequestShape(serializers.ModelSerializer):
    what = Wording(source="action")
    meaning = serializers.SerializerMethodField(help_text="Of the reason; empty without one.")
    body = serializers.JSONField(allow_null=True, help_text="What was sent, without its values.")

    class Meta:
        model = ScimRequest
        fields = [
            "id",
            "tenant_id",
            "connection_id",
            "token_id",
            "at",
            "request_id",
            "method",
            "action",
            "what",
            "target_id",
            "status",
            "scim_type",
            "reason",
            "meaning",
            "detail",
            "milliseconds",
            "results",
            "body",
        ]

    def get_meaning(self, row: ScimRequest) -> str:
        return meaning(row.reason) if row.reason else ""


class Question(serializers.Serializer):
    """The query of a list. `columns` says which column answers a filter whose name is not the column's."""

    tenant = serializers.CharField(
        required=False, help_text="Slug or id. An installation superuser reads every tenant without it."
    )
    cursor = serializers.CharField(
        required=False, help_text="Where the page begins; taken from next or previous."
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=200, help_text="Rows a page; 50 if unsaid."
    )
    columns: Mapping[str, str] = {}

    def validate(self, asked: dict[str, Any]) -> dict[str, Any]:
        # A filter that is not understood must not answer with everybody.
        if strange := sorted(set(self.initial_data) - set(self.fields)):
            raise serializers.ValidationError({name: ["This list has no such filter."] for name in strange})
        return asked

    def conditions(self) -> dict[str, Any]:
        """Look-ups for `filter`, by column."""
        return {
            self.columns.get(name, name): value
            for name, value in self.validated_data.items()
            if name not in Question._declared_fields and value is not None
        }


class NameField(serializers.CharField):
    """A name as it is compared: as a whole, without case."""

    def to_internal_value(self, data: Any) -> str:
        return fold(super().to_internal_value(data))


def _text(help_text: str = "") -> serializers.CharField:
    return serializers.CharField(required=False, max_length=512, help_text=help_text)


def _name(help_text: str) -> NameField:
    return NameField(required=False, max_length=512, help_text=help_text)


def _id() -> serializers.UUIDField:
    return serializers.UUIDField(required=False)


def _yes_or_no(help_text: str) -> serializers.BooleanField:
    # Without a default of None an absent value would read as "no".
    return serializers.BooleanField(required=False, allow_null=True, default=None, help_text=help_text)


class IdentityQuestion(Question):
    user_name = _name("The whole userName, without case.")
    email = _name("The whole e-mail, without case.")
    kind = serializers.ChoiceField(required=False, choices=Identity.Kind.choices)
    enabled = _yes_or_no("Whether the person may sign in.")
    columns = {"user_name": "user_name_key", "email": "email_key"}


class AccountQuestion(Question):
    connection = _id()
    identity = _id()
    user_name = _name("The whole userName, without case.")
    external_id = _text("The whole externalId.")
    live = _yes_or_no("Whether the account is not deleted.")
    columns = {
        "connection": "connection_id",
        "identity": "identity_id",
        "user_name": "user_name_key",
        "live": "deleted_at__isnull",
    }


class FindingQuestion(Question):
    status = serializers.ChoiceField(required=False, choices=Finding.Status.choices)
    severity = serializers.ChoiceField(required=False, choices=[severity.value for severity in Severity])
    kind = _text()
    connection = _id()
    identity = _id()
    owner = _id()
    columns = {"connection": "connection_id", "identity": "identity_id", "owner": "owner_id"}


class RunQuestion(Question):
    status = serializers.ChoiceField(required=False, choices=ReconciliationRun.Status.choices)
    connection = _id()
    columns = {"connection": "connection_id"}


class ItemQuestion(Question):
    status = serializers.ChoiceField(required=False, choices=ReconciliationItem.Status.choices)
    reason = _text()
    check_name = _text()


class AuditQuestion(Question):
    identity = _id()
    account = _id()
    connection = _id()
    object = _id()
    reason = _text()
    verdict = _text()
    request_id = _text()
    since = serializers.DateTimeField(required=False)
    columns = {
        "identity": "identity_id",
        "account": "account_id",
        "connection": "connection_id",
        "object": "object_id",
        "since": "at__gte",
    }


class ScimRequestQuestion(Question):
    person = _text("A whole userName, externalId or e-mail that requests named, of an account or of nobody.")
    identity = serializers.UUIDField(required=False, help_text="Whom requests were about, or named in vain.")
    target = _id()
    connection = _id()
    token = _id()
    action = _text("As in `user.create`, `group.add-members`, `user.look-up`.")
    refused = _yes_or_no("Whether the answer was an error.")
    status = serializers.IntegerField(required=False, min_value=100, max_value=599)
    scim_type = _text()
    reason = _text()
    request_id = _text()
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    columns = {
        "target": "target_id",
        "connection": "connection_id",
        "token": "token_id",
        "since": "at__gte",
        "until": "at__lt",
    }

    def conditions(self) -> dict[str, Any]:
        found = super().conditions()
        # Whom requests are about is no column: the view asks the log.
        for name in ("person", "identity"):
            found.pop(name, None)
        if (refused := found.pop("refused", None)) is not None:
            found["status__gte" if refused else "status__lt"] = 400
        return found
