"""Make the database of the site, and print the session keys of anna, who is staff, and of carl."""

import django
from django.core.management import call_command


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client

    call_command("migrate", verbosity=0)
    for name, is_staff in (("anna", True), ("carl", False)):
        client = Client()
        client.force_login(User.objects.create_user(name, is_staff=is_staff))
        print(name, client.session.session_key)  # noqa: T201 - the tests read it


if __name__ == "__main__":
    main()
