"""No URLs: the tests call views themselves."""

urlpatterns: list[object] = []
