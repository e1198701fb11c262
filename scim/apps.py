"""Tells Django that the SCIM face exists. Knows nothing else."""

from django.apps import AppConfig


class ScimConfig(AppConfig):
    name = "scim"
