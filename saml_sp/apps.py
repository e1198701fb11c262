"""The SAML face's Django app."""

from django.apps import AppConfig

from .startup import require_one_libxml2


class SamlConfig(AppConfig):
    name = "saml_sp"
    verbose_name = "SAML"

    def ready(self) -> None:
        require_one_libxml2()
