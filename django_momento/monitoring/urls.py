"""The status page and its JSON, for staff: ``path("cache/", include("django_momento.monitoring.urls"))``."""

from __future__ import annotations

from django.urls import path

from .views import status, status_json

app_name = "django_momento"
urlpatterns = [
    path("", status, name="status"),
    path("status.json", status_json, name="status-json"),
]
