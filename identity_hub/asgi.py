"""The ASGI door, for servers that want one. Knows nothing but where the settings are."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_hub.settings")

application = get_asgi_application()
