"""All endpoints with those of settlements."""

from django.urls import include, path

from mps import urls

urlpatterns = [path("api/v1/", include("settlements.urls")), *urls.urlpatterns]
handler404 = urls.handler404
