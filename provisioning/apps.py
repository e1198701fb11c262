"""The domain's Django app."""

from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    name = "provisioning"
    verbose_name = "Identity Hub"
    default_auto_field = "django.db.models.BigAutoField"
