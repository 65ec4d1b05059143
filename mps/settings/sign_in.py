"""Sign-in settings of members and staff."""

from decimal import Decimal
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from mps.settings.environment import DEBUG, MPS_DEMO, env, switch

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
if not 4 <= MPS_BCRYPT_COST <= 31:
    raise ImproperlyConfigured(f"MPS_BCRYPT_COST is {MPS_BCRYPT_COST!r}; it must be from 4 to 31.")
