"""URLs of members' accounts."""

from django.urls import path

from mps.product.accounts import api

urlpatterns = [
    path("members", api.Members.as_view(), name="members"),
    path("me/erasure", api.ErasureView.as_view()),
    path("me/export", api.ExportView.as_view()),
]
