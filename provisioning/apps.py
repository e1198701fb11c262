"""The domain's Django app."""

from importlib import import_module

from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    name = "provisioning"
    verbose_name = "Identity Hub"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Web processes publish jobs too: from here on a commit nudges the outbox.
        import_module("provisioning.tasks")
