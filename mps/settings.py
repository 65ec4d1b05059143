"""Everything that differs between installations comes from the environment; see `.env.example`."""

import functools
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import environ
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

import mps
from mps.base.core import logs, production
from mps.launcher import state as embedded

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
if (BASE_DIR / ".env").exists():
    environ.Env.read_env(BASE_DIR / ".env")
DATA_DIR = embedded.data_dir()
# Without DATABASE_URL the embedded servers of MPS_DATA_DIR serve; their state also holds the
# secrets.
_embedded = None if "DATABASE_URL" in os.environ else embedded.load(DATA_DIR)
if _embedded is not None:
    for _name, _value in _embedded.environment().items():
        os.environ.setdefault(_name, _value)


def switch(name: str, *, default: bool) -> bool:
    """Return whether a variable is on; a misspelt one must not pass for off."""
    word = env.str(name, default="").strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word not in {"", "0", "false", "no", "off"}:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {word!r}.")
    return bool(word == "" and default)


# --- Django --------------------------------------------------------------------------------------
DEBUG = switch("DEBUG", default=False)
MPS_DEMO = switch("MPS_DEMO", default=False)
# The embedded servers' secrets are made at random, once, in MPS_DATA_DIR.
_on_embedded = _embedded is not None or embedded.leads_to_own(
    DATA_DIR, os.environ.get("DATABASE_URL", "")
)
_in_production = not DEBUG and not MPS_DEMO and not _on_embedded

production.require_set(os.environ, in_production=_in_production)
SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "mps.base.staff.admin_app.ConsoleSiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "import_export",
    "django_celery_beat",
    "django_prometheus",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.mfa",
    "allauth.headless",
    "mps.base.core",
    "mps.base.ledger",
    "mps.base.audit",
    "mps.base.approvals",
    "mps.base.console",
    "mps.base.staff",
    "members",
    "merchants",
    "cards",
    "payments",
    "settlements",
    "mps.product.accounts",
    "mps.product.rpc",
    "mps.product.reports",
    "mps.product.demo",
    "mps.product.pages",
    "mps.product.monitoring",
]

MIDDLEWARE = [
    "mps.product.monitoring.middleware.ChargeLatencyMiddleware",
    "mps.base.core.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "mps.base.core.compression.StaticFilesMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "mps.base.core.middleware.ContentPolicyMiddleware",
    # What follows is for people: tills are answered here.
    "mps.base.core.middleware.TillMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "mps.urls"
WSGI_APPLICATION = "mps.wsgi.application"
APPEND_SLASH = False

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before those of the libraries, some of which they replace.
        "DIRS": [BASE_DIR / "mps" / "base" / room / "templates" for room in ("console", "core")],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django.template.loaders.filesystem.Loader",
                        "mps.base.console.template_loader.LighterFrameLoader",
                    ],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- database ------------------------------------------------------------------------------------
_DATABASE_OPTIONS = {
    "connect_timeout": 5,
    # Statements of the hot path are prepared by name; PgBouncer 1.21+ keeps up with it in
    # transaction mode.
    "prepare_threshold": 2,
    "server_side_binding": True,
}


def _database(url: str) -> dict[str, Any]:
    config: dict[str, Any] = env.db_url_config(url)
    config["ENGINE"] = "django.db.backends.postgresql"
    config["OPTIONS"] = {**_DATABASE_OPTIONS, **config.get("OPTIONS", {})}
    config["CONN_MAX_AGE"] = None
    config["CONN_HEALTH_CHECKS"] = False
    return config


DATABASES: dict[str, dict[str, Any]] = {
    "default": _database(env.str("DATABASE_URL")),
}
if env.str("DATABASE_OWNER_URL", default=""):
    DATABASES["owner"] = _database(env.str("DATABASE_OWNER_URL"))
# Reports over many days read there, if it is set; see `db_scope.reporting_cursor()`.
if env.str("DATABASE_REPLICA_URL", default=""):
    DATABASES["replica"] = _database(env.str("DATABASE_REPLICA_URL"))
DATABASE_ROUTERS: list[str] = []
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis and Celery ----------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        # A Redis that answers nothing must not hang a request.
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }
}
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TIMEZONE = "UTC"
# What somebody waits for does not stand in line behind jobs: a worker of its own does it.
CELERY_TASK_ROUTES = {"members.send_code": {"queue": "messages"}}
CELERY_BEAT_SCHEDULER = "mps.base.core.scheduling:Scheduler"
# No result is kept, so there is none to clean up.
CELERY_RESULT_EXPIRES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- people --------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "members.backends.MemberBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = ["mps.base.core.hashers.MpsBCryptSHA256PasswordHasher"]
MPS_BCRYPT_COST = env.int("MPS_BCRYPT_COST", default=12)
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 8},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_HTTPONLY = True
MPS_MEMBER_TOKEN_TTL_SECONDS = 24 * 3600
# Staff: how long a session lasts at most, and unused. The second factor is optional only where the
# demonstration's password is printed for everybody to read.
MPS_STAFF_SESSION_SECONDS = env.int("MPS_STAFF_SESSION_SECONDS", default=8 * 3600)
MPS_STAFF_IDLE_SECONDS = env.int("MPS_STAFF_IDLE_SECONDS", default=30 * 60)
MPS_STAFF_TOTP = switch("MPS_STAFF_TOTP", default=not MPS_DEMO)
if not MPS_STAFF_TOTP and not MPS_DEMO:
    raise ImproperlyConfigured("MPS_STAFF_TOTP=0 is for the demonstration (MPS_DEMO=1) only.")
# What one of the staff may do alone in the console; above it another has to agree, in this time.
MPS_FOUR_EYES = switch("MPS_FOUR_EYES", default=True)
MPS_FOUR_EYES_POINTS = env.int("MPS_FOUR_EYES_POINTS", default=1000)
MPS_FOUR_EYES_AMOUNT = Decimal(env.str("MPS_FOUR_EYES_AMOUNT", default="10000.00"))
MPS_APPROVAL_TTL_SECONDS = env.int("MPS_APPROVAL_TTL_SECONDS", default=24 * 3600)
MFA_ADAPTER = "mps.base.staff.second_factors.MfaAdapter"
MFA_TOTP_ISSUER = "MPS"
# A code is good for one step more and one less, as phones' clocks are.
MFA_TOTP_TOLERANCE = 1
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]

# allauth headless, in its app form: a program signs in and gets our member token.
HEADLESS_ONLY = True
HEADLESS_CLIENTS = ("app",)
HEADLESS_ADAPTER = "members.allauth_adapter.HeadlessAdapter"
HEADLESS_TOKEN_STRATEGY = "members.allauth_adapter.MemberTokenStrategy"
ACCOUNT_ADAPTER = "members.allauth_adapter.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
# One field for phone, e-mail and member number alike.
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
# Attempts are counted by mps.base.core.throttle: allauth's own counting lets twins through.
ACCOUNT_RATE_LIMITS = False
# Providers whose tokens prove who somebody is; one without an id is not offered.
SOCIALACCOUNT_ADAPTER = "members.provider.SocialAccountAdapter"
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, Any]] = {
    name: {"APPS": [{"client_id": client_id, "secret": secret}], "URL": url}
    for name, client_id, secret, url in (
        (
            "line",
            env.str("MPS_LINE_CHANNEL_ID", default=""),
            env.str("MPS_LINE_CHANNEL_SECRET", default=""),
            env.str("MPS_LINE_URL", default="https://api.line.me"),
        ),
        (
            "weixin",
            env.str("MPS_WEIXIN_APP_ID", default=""),
            env.str("MPS_WEIXIN_APP_SECRET", default=""),
            env.str("MPS_WEIXIN_URL", default="https://api.weixin.qq.com"),
        ),
    )
    if client_id
}
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5
# A member may sign in by a passkey alone.
MFA_PASSKEY_LOGIN_ENABLED = True
# There is nothing to guess about a passkey; recovery codes are counted by mps.base.core.throttle.
MFA_RATE_LIMITS = False
# A passkey is a second factor only of whom it knows: by finger, face or PIN.
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG or MPS_DEMO
# What takes short messages: `console`, `http`, `outbox`, or a class of yours by its dotted path.
MPS_SMS_BACKEND = env.str("MPS_SMS_BACKEND", default="console" if DEBUG or MPS_DEMO else "")
MPS_SMS_URL = env.str("MPS_SMS_URL", default="")
MPS_SMS_KEY = env.str("MPS_SMS_KEY", default="")
if MPS_SMS_BACKEND == "http" and not MPS_SMS_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured("MPS_SMS_BACKEND=http needs MPS_SMS_URL.")
# Whether a phone or an e-mail signs nobody in before its owner has typed the code sent there.
MPS_VERIFY_CONTACTS = switch("MPS_VERIFY_CONTACTS", default=MPS_SMS_BACKEND not in {"", "console"})

# --- API -----------------------------------------------------------------------------------------
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_SCHEMA_CLASS": "mps.base.core.openapi.Schema",
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["mps.base.core.parsing.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["mps.base.core.parsing.FastJSONRenderer"],
    "UNAUTHENTICATED_USER": None,
    # `?format=` is an unknown query parameter like any other.
    "URL_FORMAT_OVERRIDE": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Member Payment System",
    "VERSION": mps.__version__,
    "DESCRIPTION": "Tills charge members' cards; members hold cards and show payment codes.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # A script, not JSON: ReadAndSearch is of mps/docs.js.
    "SWAGGER_UI_SETTINGS": "{deepLinking: true, filter: true, displayRequestDuration: true, "
    "plugins: [ReadAndSearch]}",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": ["mps.base.core.openapi.complete"],
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# --- MPS -----------------------------------------------------------------------------------------
MPS_CURRENCY = env.str("MPS_CURRENCY", default="TWD")
MPS_TIME_ZONE = env.str("MPS_TIME_ZONE", default="Asia/Taipei")
MPS_POINTS_BASIS = env.str("MPS_POINTS_BASIS", default="list")
MPS_REFUND_POINTS = env.str("MPS_REFUND_POINTS", default="reverse")
# Above this, the member approves a payment with their PIN; unset: never asked.
_above = env.str("MPS_APPROVAL_ABOVE", default="")
MPS_APPROVAL_ABOVE = Decimal(_above) if _above else None
MPS_APPROVAL_SECONDS = env.int("MPS_APPROVAL_SECONDS", default=45)
MPS_MAX_AMOUNT = Decimal(env.str("MPS_MAX_AMOUNT", default="9999999.99"))
MPS_MAX_BALANCE = Decimal(env.str("MPS_MAX_BALANCE", default="99999999.99"))
MPS_CODE_KEYS = env.str("MPS_CODE_KEYS")
# What webhook endpoints' secrets are derived from, likewise; and whether endpoints may be http, or
# on private networks, as on a developer's machine.
MPS_WEBHOOK_KEYS = env.str("MPS_WEBHOOK_KEYS", default="") or MPS_CODE_KEYS
MPS_WEBHOOK_ALLOW_PRIVATE = switch("MPS_WEBHOOK_ALLOW_PRIVATE", default=MPS_DEMO or DEBUG)
# What exported heads of the audit chain are signed with; kept outside the database.
MPS_AUDIT_KEY = env.str("MPS_AUDIT_KEY", default="")
MPS_CODE_TTL_SECONDS = env.int("MPS_CODE_TTL_SECONDS", default=900)
MPS_TRUSTED_PROXIES = frozenset(env.list("MPS_TRUSTED_PROXIES", default=[]))
for _name, _given, _is_right, _wanted in (
    (
        *("MPS_CURRENCY", MPS_CURRENCY),
        MPS_CURRENCY != "PTS" and re.fullmatch("[A-Z]{3}", MPS_CURRENCY),
        "three capital letters, such as TWD",
    ),
    (
        *("MPS_TIME_ZONE", MPS_TIME_ZONE),
        MPS_TIME_ZONE in available_timezones(),
        "an IANA time zone, such as Asia/Taipei",
    ),
    (
        *("MPS_CODE_TTL_SECONDS", MPS_CODE_TTL_SECONDS),
        60 <= MPS_CODE_TTL_SECONDS <= 86_400,
        "from 60 to 86400",
    ),
    ("MPS_BCRYPT_COST", MPS_BCRYPT_COST, 4 <= MPS_BCRYPT_COST <= 31, "from 4 to 31"),
):
    if not _is_right:
        raise ImproperlyConfigured(f"{_name} is {_given!r}; it must be {_wanted}.")
if _in_production:
    production.require_secrets(
        key_rings={
            "MPS_CODE_KEYS": MPS_CODE_KEYS,
            "MPS_WEBHOOK_KEYS": env.str("MPS_WEBHOOK_KEYS", default=""),
        },
        secrets={"SECRET_KEY": SECRET_KEY, "MPS_AUDIT_KEY": MPS_AUDIT_KEY},
    )
    production.require_hosts(env.list("ALLOWED_HOSTS", default=[]))
for _name, _value, _choices in (
    ("MPS_POINTS_BASIS", MPS_POINTS_BASIS, ("list", "paid")),
    ("MPS_REFUND_POINTS", MPS_REFUND_POINTS, ("reverse", "keep")),
):
    if _value not in _choices:
        raise ImproperlyConfigured(
            f"{_name} is {_value!r}; it must be one of {', '.join(_choices)}."
        )

# --- top-ups by members --------------------------------------------------------------------------
# The sandbox takes no money: whoever opens its page can pay. Off unless asked for.
MPS_TOPUP_PROVIDERS: list[str] = env.list(
    "MPS_TOPUP_PROVIDERS", default=["sandbox"] if MPS_DEMO or DEBUG else []
)
MPS_TOPUP_TTL_SECONDS = env.int("MPS_TOPUP_TTL_SECONDS", default=3600)
MPS_STRIPE_SECRET_KEY = env.str("MPS_STRIPE_SECRET_KEY", default="")
MPS_STRIPE_WEBHOOK_SECRET = env.str("MPS_STRIPE_WEBHOOK_SECRET", default="")
MPS_STRIPE_API_BASE = env.str("MPS_STRIPE_API_BASE", default="")
if _unknown := set(MPS_TOPUP_PROVIDERS) - {"sandbox", "stripe"}:
    raise ImproperlyConfigured(
        f"MPS_TOPUP_PROVIDERS names {', '.join(sorted(_unknown))}; there are sandbox and stripe."
    )
if "stripe" in MPS_TOPUP_PROVIDERS and not (MPS_STRIPE_SECRET_KEY and MPS_STRIPE_WEBHOOK_SECRET):
    raise ImproperlyConfigured("Stripe needs MPS_STRIPE_SECRET_KEY and MPS_STRIPE_WEBHOOK_SECRET.")
# Stripe keeps a page to pay on for half an hour at least and a day at most.
if not 2700 <= MPS_TOPUP_TTL_SECONDS <= 23 * 3600:
    raise ImproperlyConfigured("MPS_TOPUP_TTL_SECONDS is from 2700 to 82800.")

# --- watching ------------------------------------------------------------------------------------
# Health is a share of what ended in this window, if there was enough of it to say anything.
MPS_HEALTH_WINDOW_SECONDS = env.int("MPS_HEALTH_WINDOW_SECONDS", default=900)
MPS_HEALTH_MIN_CHARGES = env.int("MPS_HEALTH_MIN_CHARGES", default=20)
MPS_HEALTH_MAX_FAILED_PERCENT = env.float("MPS_HEALTH_MAX_FAILED_PERCENT", default=5)
MPS_HEALTH_MIN_CODES = env.int("MPS_HEALTH_MIN_CODES", default=50)
MPS_HEALTH_MAX_EXPIRED_PERCENT = env.float("MPS_HEALTH_MAX_EXPIRED_PERCENT", default=30)
MPS_HEALTH_MAX_SETTLEMENT_LAG_SECONDS = env.int(
    "MPS_HEALTH_MAX_SETTLEMENT_LAG_SECONDS", default=3600
)
MPS_HEALTH_MAX_WEBHOOK_LAG_SECONDS = env.int("MPS_HEALTH_MAX_WEBHOOK_LAG_SECONDS", default=900)
MPS_HEALTH_MAX_SEAL_LAG_SECONDS = env.int("MPS_HEALTH_MAX_SEAL_LAG_SECONDS", default=900)
MPS_HEALTH_MIN_PARTITION_MONTHS = env.int("MPS_HEALTH_MIN_PARTITION_MONTHS", default=2)
MPS_HEALTH_MAX_QUEUE_DEPTH = env.int("MPS_HEALTH_MAX_QUEUE_DEPTH", default=1000)
MPS_HEALTH_MAX_JOB_DELAY_SECONDS = env.int("MPS_HEALTH_MAX_JOB_DELAY_SECONDS", default=900)
MPS_ALERT_EMAILS = env.list("MPS_ALERT_EMAILS", default=[])
MPS_ALERT_WEBHOOK_URL = env.str("MPS_ALERT_WEBHOOK_URL", default="")
MPS_ALERT_WEBHOOK_SECRET = env.str("MPS_ALERT_WEBHOOK_SECRET", default="")
if MPS_ALERT_WEBHOOK_URL and not MPS_ALERT_WEBHOOK_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured("MPS_ALERT_WEBHOOK_URL must begin with http:// or https://.")
MPS_METRICS_TOKEN = env.str("MPS_METRICS_TOKEN", default="")
vars().update(
    env.email_url(
        "EMAIL_URL", default="consolemail://" if DEBUG or MPS_DEMO else "smtp://localhost:25"
    )
)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="mps@localhost")

# --- language and time ---------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = MPS_TIME_ZONE
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hant", "繁體中文")]
LOCALE_PATHS = [BASE_DIR / "mps" / "locale"]
FORMAT_MODULE_PATH = ["mps.formats"]

# --- files, headers, logs ------------------------------------------------------------------------
STATIC_URL = "/static/"
# Set it where `collectstatic` is part of deploying; otherwise files are served from the packages.
STATIC_ROOT = env.str("MPS_STATIC_ROOT", default="") or None
WHITENOISE_USE_FINDERS = True
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
_https = switch("MPS_HTTPS", default=False)
SECURE_HSTS_SECONDS = 31536000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_SSL_REDIRECT = _https
# Scraped from within, not through the proxy that ends TLS.
SECURE_REDIRECT_EXEMPT = ["^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if MPS_TRUSTED_PROXIES else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
# Of every page but the console's, which has MPS_CONSOLE_POLICY.
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
    }
}
# Its library evaluates expressions written in its templates, and styles elements in place.
MPS_CONSOLE_POLICY = {
    "script-src": ["'self'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "structlog.stdlib.ProcessorFormatter",
            "foreign_pre_chain": [],
            "processors": [logs.render],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},
        # It says at each start that it draws no bitmaps; the barcodes here are SVG.
        "pyBarcode": {"level": "WARNING"},
        # At DEBUG it writes addresses with their queries: providers take codes and secrets there.
        "urllib3": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}


# A page of the console asks for all of its links, more than once.
_link = lazy(functools.cache(reverse), str)
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%231d4ed8'/%3E"
    "%3Cpath d='M3 6h10M3 8h10v4H3z' stroke='white' fill='none'/%3E%3C/svg%3E"
)
# In the order of daily work.
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("Member Payment System"),
    "SITE_HEADER": "MPS",
    "SITE_SUBHEADER": _("Console"),
    "SITE_SYMBOL": "payments",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "href": _ICON}],
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SHOW_LANGUAGES": True,
    "ENVIRONMENT": "mps.base.console.banner",
    "DASHBOARD_CALLBACK": "payments.first_page.first_page",
    "ACCOUNT": {
        "navigation": [
            {"title": _("Change password"), "link": _link("admin:password_change")},
            {"title": _("Passkeys"), "link": _link("admin:passkeys")},
            {"title": _("Recovery codes"), "link": _link("admin:recovery_codes")},
        ]
    },
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.6)",
            "100": "oklch(93.2% .032 255.6)",
            "200": "oklch(88.2% .059 254.1)",
            "300": "oklch(80.9% .105 251.8)",
            "400": "oklch(70.7% .165 254.6)",
            "500": "oklch(62.3% .214 259.8)",
            "600": "oklch(54.6% .245 262.9)",
            "700": "oklch(48.8% .243 264.4)",
            "800": "oklch(42.4% .199 265.6)",
            "900": "oklch(37.9% .146 265.5)",
            "950": "oklch(28.2% .091 267.9)",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": "mps.base.console.navigation.build",
    },
}
