"""Keys, and security headers of every response."""

from typing import Any

from mps.base.core import production
from mps.settings.base import SECRET_KEY
from mps.settings.environment import DEBUG, MPS_DEMO, env, is_in_production, switch

MPS_CODE_KEYS = env.str("MPS_CODE_KEYS")
# What webhook endpoints' secrets are derived from, likewise; and whether endpoints may be http, or
# on private networks, as on a developer's machine.
MPS_WEBHOOK_KEYS = env.str("MPS_WEBHOOK_KEYS", default="") or MPS_CODE_KEYS
MPS_WEBHOOK_ALLOW_PRIVATE = switch("MPS_WEBHOOK_ALLOW_PRIVATE", default=MPS_DEMO or DEBUG)
# What exported heads of the audit chain are signed with; kept outside the database.
MPS_AUDIT_KEY = env.str("MPS_AUDIT_KEY", default="")
MPS_TRUSTED_PROXIES = frozenset(env.list("MPS_TRUSTED_PROXIES", default=[]))
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
if is_in_production:
    production.require_secrets(
        key_rings={
            "MPS_CODE_KEYS": MPS_CODE_KEYS,
            "MPS_WEBHOOK_KEYS": env.str("MPS_WEBHOOK_KEYS", default=""),
        },
        secrets={"SECRET_KEY": SECRET_KEY, "MPS_AUDIT_KEY": MPS_AUDIT_KEY},
    )
    production.require_hosts(env.list("ALLOWED_HOSTS", default=[]))
