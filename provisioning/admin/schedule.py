"""The page of the periodic jobs: when each runs and when it ran last. The schedule itself is code."""

from django.contrib import admin
from django_celery_beat.models import PeriodicTask

from .base import TenantAdmin


@admin.register(PeriodicTask)
class PeriodicTaskPage(TenantAdmin):
    tenant_path = ""
    superuser_only = True
    list_display = ["name", "task", "enabled", "last_run_at", "total_run_count"]
    list_filter = ["enabled"]
    search_fields = ["name", "task"]
    ordering = ["name"]
