"""Django cache backend for Momento, the serverless cache.

Point ``CACHES`` at ``django_momento.cache.MomentoCache``; nothing here needs to be imported by hand.
Importing this package imports neither the Momento SDK, grpc nor boto3.
"""

__version__ = "0.1.0"
