"""Core Django settings: apps, middleware, templates, languages and files."""

from typing import Any

from mps.settings.environment import BASE_DIR, env
from mps.settings.money import MPS_TIME_ZONE

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

USE_TZ = True
TIME_ZONE = MPS_TIME_ZONE
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hant", "繁體中文")]
LOCALE_PATHS = [BASE_DIR / "mps" / "locale"]
FORMAT_MODULE_PATH = ["mps.formats"]

STATIC_URL = "/static/"
# Set it where `collectstatic` is part of deploying; otherwise files are served from the packages.
STATIC_ROOT = env.str("MPS_STATIC_ROOT", default="") or None
WHITENOISE_USE_FINDERS = True
