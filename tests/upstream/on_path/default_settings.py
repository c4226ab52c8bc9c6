"""For suites that configure Django themselves, and leave CACHES to Django's own default."""
