"""The settings in the test environment, whatever the caller's environment says. Knows nothing else."""

import os

os.environ["HUB_ENV"] = "test"

from identity_hub.settings import *  # noqa: F403 - the environment must be named first
from identity_hub.settings import CACHES

if "OPTIONS" in CACHES["default"]:
    # A machine that is busy with tests answers late, which is no outage.
    CACHES["default"]["OPTIONS"] = {
        "socket_timeout": 30,
        "socket_connect_timeout": 30,
        # Each test empties its cache: pytest-xdist's processes have one of Redis's sixteen databases each.
        "db": int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16,
    }
