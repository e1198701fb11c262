"""How this installation is set up. The only reader of the environment; knows no rule of the domain.

`HUB_ENV` is `development` (default), `test` or `production`. Production takes every secret from the
environment and refuses to start without one, naming it; development makes its own under `var/`.
"""

import json
import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

from identity_hub.core import key_pairs, logs
from provisioning.admin import appearance
from provisioning.schedule import SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent

# Lower case: not a Django setting. `identity_hub.local` and the commands get the environment from here.
env: Mapping[str, str] = os.environ


def _flag(name: str, default: bool) -> bool:
    return env.get(name, "1" if default else "0").strip().lower() in ("1", "true", "yes", "on")


def _words(name: str) -> list[str]:
    return [word.strip() for word in env.get(name, "").split(",") if word.strip()]


def _require_pair(key_name: str, certificate_name: str) -> None:
    """Refuses to start with files of the environment that are no key and its certificate."""
    key_file, certificate_file = env.get(key_name, ""), env.get(certificate_name, "")
    if not (key_file or certificate_file):
        return
    try:
        key_pairs.read(key_file, certificate_file)
    except key_pairs.Unusable as error:
        raise ImproperlyConfigured(f"{key_name} and {certificate_name} {error}") from None


def dns_servers(text: str) -> list[tuple[str, int]]:
    """`192.0.2.53` or `192.0.2.53:5353` or `[2001:db8::53]:53`, separated by commas, as addresses with ports."""
    servers = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        try:
            # A bare IPv6 address has colons, but no port.
            parts = urlsplit(
                f"//[{word}]" if word.count(":") > 1 and not word.startswith("[") else f"//{word}"
            )
            servers.append((str(ip_address(parts.hostname or "")), parts.port or 53))
        except ValueError:
            raise ImproperlyConfigured(
                f"HUB_DNS_SERVERS names {word!r}; it takes addresses like 192.0.2.53 or 192.0.2.53:5353."
            ) from None
    return servers


def database_from_url(url: str) -> dict[str, Any]:
    """Django's entry for `postgres://user:password@host:port/name?option=value`; `?host=` for a socket."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured("DATABASE_URL must begin with postgres://; the hub needs PostgreSQL.")
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", None) or unquote(parts.hostname or ""),
        "PORT": str(parts.port or options.pop("port", "")),
        # One connection per thread, kept: a new one per request costs more than the request. The health check
        # (one round trip) spares every thread a failure after the database was restarted.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 3,
            "application_name": "identity-hub",
            # A peer that vanished without a word (failover, cable) is noticed in seconds instead of hours.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 15000,
            **options,
        },
        # pytest-xdist and the journeys clone the test database; template0 has nobody connected to it.
        "TEST": {"TEMPLATE": "template0"},
    }


HUB_ENV = env.get("HUB_ENV") or ("production" if _flag("HUB_PRODUCTION", False) else "development")
if HUB_ENV not in ("production", "development", "test"):
    raise ImproperlyConfigured("HUB_ENV must be production, development or test.")
HUB_PRODUCTION = HUB_ENV == "production"
DEBUG = _flag("HUB_DEBUG", False) and not HUB_PRODUCTION

HUB_VAR = Path(env.get("HUB_VAR") or BASE_DIR / "var" / ("test" if HUB_ENV == "test" else "")).absolute()
HUB_PORT = int(env.get("PORT") or 8000)
HUB_DEMO_IDP_PORT = HUB_PORT + 1
HUB_DEMO = _flag("DEMO", True) and not HUB_PRODUCTION

_REQUIRED = (
    "SECRET_KEY",
    "DATABASE_URL",
    "REDIS_URL",
    "HUB_PUBLIC_URL",
    "ALLOWED_HOSTS",
    "METRICS_TOKEN",
    "CREDENTIAL_KEYS",
    "SAML_SP_KEY_FILE",
    "SAML_SP_CERT_FILE",
)

if HUB_PRODUCTION:
    if missing := [name for name in _REQUIRED if not env.get(name, "").strip()]:
        raise ImproperlyConfigured(f"Production needs these environment variables: {', '.join(missing)}.")
    if not env["HUB_PUBLIC_URL"].startswith("https://"):
        raise ImproperlyConfigured("HUB_PUBLIC_URL must begin with https:// in production.")
    if len(env["SECRET_KEY"]) < 50:
        raise ImproperlyConfigured("SECRET_KEY must have at least 50 characters in production.")
    if len(env["METRICS_TOKEN"]) < 20:
        raise ImproperlyConfigured("METRICS_TOKEN must have at least 20 characters in production.")
    if min(map(len, _words("CREDENTIAL_KEYS")), default=0) < 32:
        raise ImproperlyConfigured("Each of CREDENTIAL_KEYS must have at least 32 characters in production.")
    if "*" in _words("ALLOWED_HOSTS"):
        raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts in production; * lets a caller choose.")
    _services: dict[str, str] = {}
    SECRET_KEY = env["SECRET_KEY"]
    METRICS_TOKEN = env["METRICS_TOKEN"]
    CREDENTIAL_KEYS = _words("CREDENTIAL_KEYS")
    SAML_SP_KEY_FILE = env["SAML_SP_KEY_FILE"]
    SAML_SP_CERT_FILE = env["SAML_SP_CERT_FILE"]
else:
    from identity_hub.local import keys

    # Written by `make run`: a command in a second terminal finds the same services.
    _services_file = HUB_VAR / "services.json"
    _services = json.loads(_services_file.read_text()) if _services_file.exists() else {}
    SECRET_KEY = env.get("SECRET_KEY") or keys.secret(HUB_VAR / "keys" / "secret_key")
    METRICS_TOKEN = env.get("METRICS_TOKEN") or keys.secret(HUB_VAR / "keys" / "metrics_token")
    # The first seals what the hub has to use again (credentials of listings); the others open what they have sealed.
    CREDENTIAL_KEYS = _words("CREDENTIAL_KEYS") or [keys.secret(HUB_VAR / "keys" / "credential_key")]
    SAML_SP_KEY_FILE = env.get("SAML_SP_KEY_FILE") or str(HUB_VAR / "keys" / "saml_sp.key")
    SAML_SP_CERT_FILE = env.get("SAML_SP_CERT_FILE") or str(HUB_VAR / "keys" / "saml_sp.crt")
    if not env.get("SAML_SP_KEY_FILE"):
        keys.saml_key(Path(SAML_SP_KEY_FILE), Path(SAML_SP_CERT_FILE))

# Published beside the first pair, and opens what was encrypted for it; never signs. For the change of keys.
SAML_SP_OTHER_KEY_FILE = env.get("SAML_SP_OTHER_KEY_FILE", "")
SAML_SP_OTHER_CERT_FILE = env.get("SAML_SP_OTHER_CERT_FILE", "")
_require_pair("SAML_SP_KEY_FILE", "SAML_SP_CERT_FILE")
_require_pair("SAML_SP_OTHER_KEY_FILE", "SAML_SP_OTHER_CERT_FILE")

# Serves /scim/v2/TestResources, a type that is nothing but its schema: for tests of the SCIM face.
HUB_SCIM_CONFORMANCE = _flag("HUB_SCIM_CONFORMANCE", False)
if HUB_SCIM_CONFORMANCE and HUB_PRODUCTION:
    raise ImproperlyConfigured("HUB_SCIM_CONFORMANCE is for tests; production does not serve it.")

# Older keys still verify what they signed while a new one takes over.
SECRET_KEY_FALLBACKS = _words("SECRET_KEY_FALLBACKS")

_here = None if env.get("PORT") else _services.get("HUB_PUBLIC_URL")
HUB_PUBLIC_URL = (env.get("HUB_PUBLIC_URL") or _here or f"http://localhost:{HUB_PORT}").rstrip("/")
ALLOWED_HOSTS = _words("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
_HTTPS = HUB_PUBLIC_URL.startswith("https://")

# Whom the hub asks about the domains of tenants; the machine's own resolvers where none is named.
HUB_DNS_SERVERS = dns_servers(env.get("HUB_DNS_SERVERS", ""))

ROOT_URLCONF = "identity_hub.urls"
WSGI_APPLICATION = "identity_hub.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    # Not plain "unfold": that would put a site of its own in the place of the hub's.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "provisioning.admin.apps.HubAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "rest_framework",
    "drf_spectacular",
    "django_prometheus",
    "health_check",
    "django_scim",
    # After django.contrib.auth, one of whose signals it ends.
    "provisioning",
    "scim",
    "saml_sp",
]
if not HUB_PRODUCTION:
    INSTALLED_APPS.append("identity_hub.demo")

WEB_BIND = env.get("WEB_BIND") or f"127.0.0.1:{HUB_PORT}"
WEB_WORKERS = int(env.get("WEB_WORKERS") or 2)
WEB_THREADS = int(env.get("WEB_THREADS") or 4)
# Read by prometheus_client itself: a folder where the numbers of all web processes are added up.
PROMETHEUS_MULTIPROC_DIR = env.get("PROMETHEUS_MULTIPROC_DIR") or ""

MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "identity_hub.core.request_id.RequestIdMiddleware",
    "identity_hub.probes.ProbesMiddleware",
    "identity_hub.core.access_log.AccessLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
    "identity_hub.programs.ProgramsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "identity_hub.core.headers.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "provisioning.sessions.IdleSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "identity_hub.errors.ReadableFormsMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "identity_hub.errors.DatabaseAwayMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the theme's, of which it replaces one.
        "DIRS": [BASE_DIR / "provisioning" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# SCIM addresses carry no trailing slash, and a redirect would lose the body of a POST.
APPEND_SLASH = False

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "identity_hub.formats"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = Path(env.get("STATIC_ROOT") or HUB_VAR / "static")
STORAGES = {
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if HUB_ENV == "test"
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        ),
    },
}
# In tests the files are served from where they lie; nobody has collected them.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = HUB_ENV == "test"

# The SCIM face allows less and checks it itself; this is the end for everything else.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

DATABASE_URL = env.get("DATABASE_URL") or _services.get("DATABASE_URL") or "postgres://localhost/identity_hub"
REDIS_URL = env.get("REDIS_URL") or _services.get("REDIS_URL") or ""

DATABASES = {"default": database_from_url(DATABASE_URL)}

if REDIS_URL:
    CACHES: dict[str, Any] = {
        "default": {
            "BACKEND": "identity_hub.core.cache.ForgivingRedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
        },
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


def _broker(url: str) -> str:
    """kombu's word for a Redis on a socket is redis+socket."""
    return url.replace("unix://", "redis+socket://", 1) if url else "memory://"


CELERY_BROKER_URL = _broker(REDIS_URL)
# The outcome of a job is a row in PostgreSQL; nobody asks the broker for it.
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TRACK_STARTED = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    **SCHEDULE,
    "watch-bursts": {
        "task": "saml_sp.tasks.watch_bursts",
        "schedule": crontab(),
        "options": {"expires": 60},
    },
    "refresh-metadata": {
        "task": "saml_sp.tasks.refresh_all_metadata",
        "schedule": crontab(minute="3"),
        "options": {"expires": 3600},
    },
    "watch-own-certificates": {
        "task": "saml_sp.tasks.watch_own_certificates",
        "schedule": crontab(hour="6", minute="11"),
        "options": {"expires": 3600},
    },
    "trim-saml": {
        "task": "saml_sp.tasks.trim",
        "schedule": crontab(minute="50"),
        "options": {"expires": 3600},
    },
}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# Every task is idempotent: one that dies with its worker is delivered again.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Publishing follows a commit, inside a request: it gives up at once, and the outbox is read again by beat.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 5,
    "socket_connect_timeout": 0.5,
    "max_retries": 0,
    "retry_on_timeout": False,
    "visibility_timeout": 3600,
}

AUTH_USER_MODEL = "provisioning.Identity"
AUTHENTICATION_BACKENDS = ["provisioning.backends.HubBackend"]
if HUB_ENV == "test":
    # Local administrators only; the suite makes many of them.
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/me/"
LOGOUT_REDIRECT_URL = "/login/"

SESSION_ENGINE = "provisioning.sessions"
SESSION_COOKIE_NAME = "hub_session"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _HTTPS
CSRF_FAILURE_VIEW = "identity_hub.errors.stale_form"
CSRF_COOKIE_NAME = "hub_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = _HTTPS
CSRF_TRUSTED_ORIGINS = [HUB_PUBLIC_URL]

X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
if _HTTPS:
    SECURE_HSTS_SECONDS = int(env.get("HSTS_SECONDS") or 365 * 24 * 3600)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = _flag("HSTS_INCLUDE_SUBDOMAINS", False)
    SECURE_HSTS_PRELOAD = _flag("HSTS_PRELOAD", False)
    SECURE_SSL_REDIRECT = _flag("SSL_REDIRECT", True)
BEHIND_PROXY = _flag("BEHIND_PROXY", False)
if BEHIND_PROXY:
    # Only where a proxy always sets this header itself: otherwise a caller could claim to have come by TLS.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "PAGE_SIZE": 50,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Identity Hub operations API",
    "DESCRIPTION": "Reads identities, accounts, findings, runs and the audit of one tenant.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
}

SCIM_SERVICE_PROVIDER = {
    "SCHEME": urlsplit(HUB_PUBLIC_URL).scheme,
    "NETLOC": urlsplit(HUB_PUBLIC_URL).netloc,
    "AUTHENTICATION_SCHEMES": [
        {
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "A token of one connection, made with create_scim_token or in the admin.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": True,
        },
        {
            "type": "oauth2",
            "name": "OAuth 2.0 Client Credentials",
            "description": (
                f"An OAuth client of one connection obtains a token of an hour at {HUB_PUBLIC_URL}/scim/oauth/token."
            ),
            "specUri": "https://www.rfc-editor.org/info/rfc6749",
        },
    ],
    "WWW_AUTHENTICATE_HEADER": 'Bearer realm="scim"',
}

UNFOLD = appearance.UNFOLD

LOGGING = logs.configure(
    as_json=HUB_PRODUCTION,
    level=env.get("LOG_LEVEL") or ("WARNING" if HUB_ENV == "test" else "INFO"),
)
LOGGING_CONFIG = "logging.config.dictConfig"
