"""The SAML face's Django app."""

from django.apps import AppConfig

from .startup import require_one_libxml2


class SamlConfig(AppConfig):
    name = "saml_sp"
    verbose_name = "SAML"

    def ready(self) -> None:
        require_one_libxml2()
        # The models are there only now.
        from provisioning.services import sealed  # noqa: PLC0415

        from .models import EncryptionKey  # noqa: PLC0415

        sealed.register(EncryptionKey.objects.filter(ended_at__isnull=True))
