"""The WSGI door. Knows nothing but where the settings are, and that a request may not even say of what kind it is."""

import os
from typing import Any

import django
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "identity_hub.settings")


class _Request(WSGIRequest):
    def __init__(self, environ: dict[str, Any]) -> None:
        # Attack: a parameter of Accept in a charset that does not exist (RFC 2231), at which Django's and REST
        # framework's choice of a form for the answer fails. No media type that is served has one.
        if "*=" in environ.get("HTTP_ACCEPT", ""):
            environ = environ | {"HTTP_ACCEPT": "*/*"}
        # Attack: a Content-Type at which Django fails before anything of ours runs (a charset in which the query cannot
        # be read, a parameter in one that does not exist). What nobody can read is taken for none.
        try:
            super().__init__(environ)
        except (LookupError, ValueError, SuspiciousOperation):
            self.__dict__.clear()
            super().__init__(environ | {"CONTENT_TYPE": ""})


class _Handler(WSGIHandler):
    request_class = _Request


django.setup(set_prefix=False)
application = _Handler()
