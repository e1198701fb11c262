"""Puts the hub's own site in the place of Django's, and its pages on it."""

from importlib import import_module

from django.contrib.admin.apps import AdminConfig

_PAGES = (
    "tenants",
    "connections",
    "asserted_groups",
    "schemas",
    "identities",
    "sessions",
    "accounts",
    "groups",
    "findings",
    "runs",
    "rosters",
    "roster_sources",
    "records",
    "requests",
    "schedule",
)


class HubAdminConfig(AdminConfig):
    default = False
    default_site = "provisioning.admin.site.HubSite"

    def ready(self) -> None:
        super().ready()
        for page in _PAGES:
            import_module(f"provisioning.admin.{page}")
