"""A trusted backend's client."""

from tests.rpc.conftest import service_key  # noqa: F401 -- fixture
