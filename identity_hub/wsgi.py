"""The WSGI door. Knows nothing but where the settings are."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_hub.settings")

application = get_wsgi_application()
