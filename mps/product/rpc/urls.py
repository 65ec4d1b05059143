"""URLs of the RPC facade: one per function, and a fallback for all other paths."""

from django.urls import path

from mps.product.rpc import api
from mps.product.rpc.functions import FUNCTIONS

urlpatterns = [
    *(path(f"rpc/{name}", api.view_of(function)) for name, function in FUNCTIONS.items()),
    path("<path:name>", api.NothingView.as_view(schema=None)),
]
