"""Cache serialization as JSON, so that reading the cache never runs code.

Django's own serializer is pickle: whoever can write to Redis could run code in every process.
"""

import json
from typing import Any


class JSONSerializer:
    """Serialize values for `django.core.cache`, for the option `serializer` of the Redis backend.

    Whole numbers stay plain, so that Redis can count them. Dates, decimals and objects are refused:
    who caches them says how they are written.
    """

    def dumps(self, value: Any) -> bytes | int:
        """Return what is stored; :raises TypeError: JSON has no such value."""
        if type(value) is int:
            return value
        return json.dumps(value, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        """Return what was stored."""
        return json.loads(data)
