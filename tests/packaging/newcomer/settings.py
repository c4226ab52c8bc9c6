"""Settings of a site that has just installed the package: no account, no key, no network."""

from django_momento.env import Env

SECRET_KEY = "only-for-tests"
INSTALLED_APPS = ["django_momento"]
USE_TZ = True

CACHES = {"default": Env().cache_url(default="momento://site?credentials=embedded")}
