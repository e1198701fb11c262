"""The hub's own settings, with one address more: the bare view that everything is compared with."""

from identity_hub.settings import *  # noqa: F403 - this module is those settings

ROOT_URLCONF = "tests.benchmarks.urls"
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
