"""The provisioning log: every SCIM request and what became of it. Knows no rule."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

_VERBS = {
    "create": "Create {}",
    "look-up": "Look up {}s",
    "list": "List {}s",
    "read": "Read {}",
    "replace": "Replace {}",
    "update": "Update {}",
    "rename": "Rename {}",
    "enable": "Enable {}",
    "disable": "Disable {}",
    "delete": "Delete {}",
    "add-members": "Add members",
    "remove-members": "Remove members",
    "replace-members": "Replace members",
    "change-members": "Change members",
}
_WHOLE = {"bulk": "Bulk", "discovery": "Discovery", "me": "Me"}


def wording(action: str) -> str:
    """What a request meant, in words: `user.look-up` is "Look up users"."""
    noun, _, verb = action.partition(".")
    if verb in _VERBS:
        return _VERBS[verb].format(noun)
    return _WHOLE.get(action) or action.replace(".", " ").replace("-", " ").capitalize()


class ScimRequest(models.Model):
    """One SCIM request, kept for 90 days. It points at nothing by foreign key, so that it outlives what it names.

    It holds no personal value: `body` is redacted, and `digests` (keyed, as the audit's) find a person by userName,
    externalId or e-mail also when no account came of it.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    connection_id = models.UUIDField()
    token_id = models.UUIDField()
    at = models.DateTimeField()
    request_id = models.CharField(max_length=64, blank=True)
    method = models.CharField(max_length=8)
    action = models.CharField(max_length=40)
    """What it meant: `user.create`, `user.disable`, `group.add-members`, `user.look-up`."""
    target_id = models.UUIDField(null=True)
    status = models.PositiveSmallIntegerField()
    scim_type = models.CharField(max_length=32, blank=True)
    reason = models.CharField(max_length=64, blank=True)
    """The reason code of the decision or refusal; "" where none was asked for."""
    detail = models.CharField(max_length=500, blank=True)
    milliseconds = models.FloatField()
    results = models.PositiveIntegerField(null=True)
    """How many resources a list answered."""
    body = models.JSONField(null=True)
    """What was sent, redacted; of a GET its query parameters."""
    digests = ArrayField(models.CharField(max_length=64), default=list)

    class Meta:
        ordering = ["-id"]
        verbose_name = "SCIM request"
        verbose_name_plural = "provisioning log"
        indexes = [
            models.Index(fields=["tenant_id", "-id"], name="scimrequest_tenant"),
            models.Index(
                fields=["tenant_id", "-id"], condition=models.Q(status__gte=400), name="scimrequest_refused"
            ),
            models.Index(fields=["target_id", "-id"], name="scimrequest_target"),
            models.Index(fields=["at"], name="scimrequest_at"),
            models.Index(
                fields=["request_id"], condition=~models.Q(request_id=""), name="scimrequest_request_id"
            ),
            GinIndex(fields=["digests"], name="scimrequest_digests"),
        ]

    def __str__(self) -> str:
        return f"{wording(self.action)}, {self.status}"
