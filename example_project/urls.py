"""One address for each page. A change is a POST to the same address."""

from django.http import HttpRequest
from django.urls import include, path

from . import views
from .status import status


def is_allowed(request: HttpRequest) -> bool:
    """Return True: the example has no users, and anyone may see the figures of its cache."""
    return True


urlpatterns = [
    path("", views.overview, name="overview"),
    path("products/", views.products, name="products"),
    path("page/", views.whole_page, name="page"),
    path("fragment/", views.fragment, name="fragment"),
    path("visits/", views.visits, name="visits"),
    path("limit/", views.limit, name="limit"),
    path("many/", views.many, name="many"),
    path("async/", views.at_once, name="async"),
    path("status/", status, name="status"),
    path("cache/", include("django_momento.monitoring.urls"), {"allow": is_allowed}),
]
