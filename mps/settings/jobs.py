"""Redis and Celery settings. Each app defines the schedule of its jobs."""

from mps.settings.environment import env

REDIS_URL = env.str("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {
            "serializer": "mps.base.core.cache.JSONSerializer",
            # A Redis that answers nothing must not hang a request.
            "socket_connect_timeout": 1,
            "socket_timeout": 1,
        },
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
