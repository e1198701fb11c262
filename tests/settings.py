"""The settings in the test environment, whatever the caller's environment says. Knows nothing else."""

import os

os.environ["HUB_ENV"] = "test"

from identity_hub.settings import *  # noqa: F403 - the environment must be named first
