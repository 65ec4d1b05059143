"""Endpoints of rpc: one a function, and an answer to whoever asks for anything else."""

from django.urls import path

from mps.product.rpc import api
from mps.product.rpc.functions import FUNCTIONS

urlpatterns = [
    *(path(f"rpc/{name}", api.view_of(function)) for name, function in FUNCTIONS.items()),
    path("<path:name>", api.NothingView.as_view(schema=None)),
]
