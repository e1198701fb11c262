"""The SAML face's Django app."""

from django.apps import AppConfig


class SamlConfig(AppConfig):
    name = "saml_sp"
    verbose_name = "SAML"

    def ready(self) -> None:
        from . import startup  # noqa: F401, PLC0415 - registers its check; checks need the loaded app registry
