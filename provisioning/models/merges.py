"""Which identities were found to be one person, and what that moved."""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from .base import TenantForeignKey, TenantRow
from .people import Identity


class Merge(TenantRow):
    """One identity ended in another one. `moved` says by ids alone what went with it, so that it can go back."""

    winner = TenantForeignKey(Identity, on_delete=models.PROTECT, related_name="merges")
    loser = TenantForeignKey(Identity, on_delete=models.PROTECT, related_name="+")
    moved = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    merged_at = models.DateTimeField()
    merged_by = models.CharField(max_length=100)
    reason = models.CharField(max_length=500, blank=True)
    unmerged_at = models.DateTimeField(null=True, blank=True)
    unmerged_by = models.CharField(max_length=100, blank=True)
    unmerge_reason = models.CharField(max_length=500, blank=True)
    kept = models.JSONField(default=dict, blank=True)
    """What did not go back, because something newer had touched it."""

    class Meta:
        ordering = ["-merged_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["loser"], condition=Q(unmerged_at__isnull=True), name="merge_of_loser_once"
            ),
            models.CheckConstraint(condition=~Q(winner=models.F("loser")), name="merge_of_two"),
        ]
        indexes = [
            models.Index(fields=["winner"], name="merge_winner"),
            models.Index(fields=["loser"], name="merge_loser"),
        ]

    def __str__(self) -> str:
        return f"{self.loser_id} in {self.winner_id}"
