"""Tells Django that the SCIM face exists, and the domain how people are listed by SCIM. Knows nothing else."""

from django.apps import AppConfig


class ScimConfig(AppConfig):
    name = "scim"

    def ready(self) -> None:
        from provisioning.sources.kinds import KINDS  # noqa: PLC0415 - models are there only now

        from .directory import KIND  # noqa: PLC0415

        KINDS["scim"] = KIND
