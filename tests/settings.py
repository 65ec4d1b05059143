"""Settings of tests and checks: cheap hashing, and secrets that are none."""

import base64
import os

# The browser tests' driver keeps a loop running in its thread to the end of the session; what
# the other tests do in that thread afterwards is not asynchronous for it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
os.environ.setdefault("DATABASE_URL", "postgresql://mps_web:unused@127.0.0.1:1/mps")
os.environ.setdefault("DATABASE_OWNER_URL", "postgresql://mps_owner:unused@127.0.0.1:1/mps")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")
os.environ["SECRET_KEY"] = "a-key-for-tests-only-0123456789-0123456789-0123456789"
os.environ["MPS_CODE_KEYS"] = ",".join(
    f"{name}:{base64.b64encode(bytes(range(start, start + 32))).decode()}"
    for name, start in (("t2", 2), ("t1", 1))
)
os.environ["MPS_WEBHOOK_KEYS"] = os.environ["MPS_CODE_KEYS"]
os.environ["MPS_AUDIT_KEY"] = "an-audit-key-for-tests-only-0123456789"
os.environ["ALLOWED_HOSTS"] = "127.0.0.1,localhost,[::1]"
os.environ["MPS_WEBHOOK_ALLOW_PRIVATE"] = "1"
os.environ.setdefault("MPS_FOUR_EYES", "0")  # where it is on, the test says so
os.environ["MPS_BCRYPT_COST"] = "4"
os.environ.setdefault("MPS_TOPUP_PROVIDERS", "sandbox")

from mps.settings import *  # noqa: F403

# A machine that stands still for a moment is not Redis being away.
CACHES["default"]["OPTIONS"] = {  # noqa: F405
    "serializer": "mps.base.core.cache.JSONSerializer",
    "socket_connect_timeout": 30,
    "socket_timeout": 30,
}
# Each client of a test makes a handler of its own; found when asked for, files are not listed anew.
WHITENOISE_AUTOREFRESH = True
