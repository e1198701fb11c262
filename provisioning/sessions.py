"""The session store: Django's database store over our own table, which knows whose session it is, and how long a
session may lie unused."""

import secrets
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest, HttpResponse

from identity_hub.core.clock import now
from provisioning import sql
from provisioning.models import Identity, Session
from provisioning.models.sessions import handle_of, name_id_digest

FACTS = "_hub_session_facts"
"""Session key of what `services.sessions.open` knows of a session: the columns of its row, and what the IdP calls the
person."""


_IDLE = "_hub_idle_seconds"
_SEEN = "_hub_seen"
_RESOLUTION = 60
"""Seconds. A session is written once a minute at most for being used."""


def begin_idling(session: SessionBase, minutes: int, at: datetime) -> None:
    """From now on the session ends after so many minutes without a request; 0: it does not."""
    if minutes:
        session[_IDLE], session[_SEEN] = minutes * 60, int(at.timestamp())


class IdleSessionMiddleware:
    """Ends a session that nobody used for too long, before anybody asks whose it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        session = request.session
        if idle := session.get(_IDLE):
            at = int(now().timestamp())
            unused = at - session[_SEEN]
            if unused > idle:
                session.flush()
            elif unused >= min(_RESOLUTION, idle):
                session[_SEEN] = at
        return self.get_response(request)


class SessionStore(DatabaseStore):
    """Writes a session when it is saved, and once: Django's own store writes a new one three times for a login."""

    _written: dict[str, Any] | None = None
    """What this object last wrote."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def _get_new_session_key(self) -> str:
        # 160 random bits. To ask whether somebody has them already is one statement more; the table refuses them.
        return secrets.token_hex(20)

    def cycle_key(self) -> None:
        """A new key for what the session holds, and no row under the old one. The new row comes with `save`."""
        data = self._session
        if self.session_key:
            self.delete()
        self._session_key, self._session_cache = None, data
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            self.create()
            return
        data = self._get_session(no_load=must_create)
        if not must_create and data == self._written:
            return
        if must_create:
            sql.add(Session, [self._columns(data)], new=True)
        else:
            super().save()
        self._written = deepcopy(data)

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        return Session(**self._columns(data))

    def _columns(self, data: dict[str, Any]) -> dict[str, Any]:
        """The row of this session, by column."""
        key = self._get_or_create_session_key()
        facts = data.get(FACTS, {})
        name_id, idle = facts.get("name_id"), data.get(_IDLE)
        identity_id, tenant_id = data.get(SESSION_KEY), facts.get("tenant_id")
        if identity_id and not facts:
            tenant_id = Identity.objects.values_list("tenant_id", flat=True).get(pk=identity_id)
        seen_at = datetime.fromtimestamp(data[_SEEN], UTC) if idle else None
        return {
            "session_key": key,
            "session_data": self.encode(data),
            "expire_date": self.get_expiry_date(),
            "handle": handle_of(key),
            "tenant_id": tenant_id if identity_id else None,
            "identity_id": identity_id or None,
            "connection_id": facts.get("connection_id"),
            "account_id": facts.get("account_id"),
            "session_index": facts.get("session_index", "")[:256],
            "name_id_digest": name_id_digest(name_id["value"], name_id["format"]) if name_id else "",
            "user_agent": facts.get("user_agent", "")[:256],
            "network": facts.get("network"),
            "created_at": facts.get("created_at") or now(),
            "seen_at": seen_at,
            "ends_unused_at": seen_at + timedelta(seconds=idle) if seen_at and idle else None,
        }
