"""``manage.py momento_check`` and ``manage.py momento_local``."""
