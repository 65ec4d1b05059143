"""Settings of the REST API and its schema."""

from typing import Any

import mps

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
