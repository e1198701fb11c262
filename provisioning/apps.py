"""The domain's Django app."""

from importlib import import_module

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class ProvisioningConfig(AppConfig):
    name = "provisioning"
    verbose_name = "Identity Hub"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Django would write the time of a login by a signal, past the services; they record it themselves.
        user_logged_in.disconnect(dispatch_uid="update_last_login")
        # Web processes publish jobs too: from here on a commit nudges the outbox.
        import_module("provisioning.tasks")
