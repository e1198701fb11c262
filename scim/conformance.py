"""The conformance profile: a resource type of which the hub knows nothing but its schema. For tests.

It shows that every characteristic of RFC 7643 is read from data alone: nothing here names an attribute.
"""

import json
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from scim.schemas import ResourceKind, kind_of

NAME, ENDPOINT = "TestResource", "TestResources"


def is_served() -> bool:
    return bool(settings.HUB_SCIM_CONFORMANCE)


@lru_cache(maxsize=1)
def kind() -> ResourceKind:
    profile = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return kind_of(
        NAME,
        f"/{ENDPOINT}",
        profile["schema"],
        [(extension["schema"], extension["required"]) for extension in profile["extensions"]],
        own=True,
    )
