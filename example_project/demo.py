"""The whole chain on one machine: ``python -m example_project.demo --port 8765``.

Start moto's Secrets Manager, store a throw-away API key in it, start Momento Local with that key, run
``momento_check``, and serve the site with both. When the demo ends, in any way, all of its processes end too.
"""

import argparse
import base64
import json
import os
import secrets
import socket
import sys
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from .children import ChildFailed, Children, Stopped, indent_lines

ROOT = Path(__file__).resolve().parent.parent
MANAGE = str(ROOT / "manage.py")
HOST = "127.0.0.1"
REGION = "us-west-2"
SECRET_ID = "Momento_Auth_Token"  # noqa: S105 - the name of a secret is none
CACHE = "example"


class DemoFailed(Exception):
    """The demo cannot start or continue. The message is for the user."""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def responds(url: str) -> bool:
    try:
        # A proxy cannot reach the servers on the loopback interface of this machine.
        with build_opener(ProxyHandler({})).open(url, timeout=2):
            return True
    except (OSError, HTTPException):
        return False


def find_free_ports(site_port: int) -> tuple[int, int]:
    """Return two free ports. Raise DemoFailed if the site's own port is taken."""
    with ExitStack() as stack:
        site, first, second = (stack.enter_context(socket.socket()) for _ in range(3))
        site.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
        try:
            site.bind((HOST, site_port))
        except OSError as error:
            raise DemoFailed(
                f"Port {site_port} cannot be used: {error.strerror}. Try another PORT."
            ) from error
        first.bind((HOST, 0))
        second.bind((HOST, 0))
        return first.getsockname()[1], second.getsockname()[1]


def make_api_key() -> str:
    """Return a random key in the form of Momento's v2 API keys. Only this demo's server accepts it."""
    parts = (b'{"alg":"HS256","typ":"JWT"}', b'{"t":"g"}', secrets.token_bytes(32))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def enter_environment(secrets_manager: str) -> None:
    """Set the demo's AWS and Django variables for this process and its children, and remove the user's."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "MOMENTO_", "DJANGO_")):
            del os.environ[name]
    no_proxy = ",".join(filter(None, (os.environ.get("no_proxy"), os.environ.get("NO_PROXY"), HOST)))
    os.environ.update(
        AWS_ENDPOINT_URL_SECRETS_MANAGER=secrets_manager,
        AWS_REGION=REGION,
        AWS_DEFAULT_REGION=REGION,
        AWS_ACCESS_KEY_ID="demo",
        AWS_SECRET_ACCESS_KEY="demo",  # noqa: S106 - moto takes any
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        # This machine is no server in Momento's region: it may be busy for longer than that takes to respond.
        CACHE_URL=f"momento://{CACHE}?secret_id={SECRET_ID}&region={REGION}&configuration=laptop",
        DEBUG="false",
        WARM_UP="true",
        LOCAL_SERVERS="true",
        SECRET_KEY=secrets.token_urlsafe(50),
        ALLOWED_HOSTS=f"localhost,{HOST}",
        PYTHONUNBUFFERED="1",
        no_proxy=no_proxy,
        NO_PROXY=no_proxy,
    )


def create_secret(api_key: str, endpoint: str) -> None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    patience = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1})
    try:
        boto3.client("secretsmanager", config=patience).create_secret(
            Name=SECRET_ID, SecretString=json.dumps({"api_key": api_key, "endpoint": endpoint})
        )
    except (BotoCoreError, ClientError) as error:
        raise DemoFailed(f"The secret could not be created: {error}") from error


def serve(children: Children, port: int) -> None:
    """Start the servers in order and watch them. Raise Stopped or ChildFailed when it is time to end."""
    moto_port, momento_port = find_free_ports(port)
    secrets_manager, momento = f"http://{HOST}:{moto_port}", f"{HOST}:{momento_port}"
    url = f"http://{HOST}:{port}/"
    api_key = make_api_key()
    enter_environment(secrets_manager)

    moto = ("-m", "moto.server", "-H", HOST, "-p", str(moto_port))
    children.start(
        "moto's Secrets Manager", *moto, ready=lambda child: responds(f"{secrets_manager}/moto-api/")
    )
    say(f"Secrets Manager (moto) runs at {secrets_manager}")

    create_secret(api_key, momento)
    say(f"Secret {SECRET_ID} is stored there")

    local = ("momento_local", "--port", str(momento_port), "--api-key", api_key, "--cache", CACHE)
    children.start("momento_local", MANAGE, *local, ready=lambda child: "listening on" in child.output)
    say(f"Momento Local runs at {momento}, with the cache {CACHE!r}")

    say("momento_check, with the key from Secrets Manager:")
    say(indent_lines(children.run("momento_check", MANAGE, "momento_check")))

    # An ASGI server, so that the async page runs on its event loop; the others run in threads of their own.
    asgi = ("-m", "uvicorn", "example_project.asgi:application", "--host", HOST, "--port", str(port))
    quiet = ("--lifespan", "off", "--no-access-log", "--timeout-graceful-shutdown", "2")
    children.start("The site", *asgi, *quiet, ready=lambda child: responds(url))
    say(f"\nThe example site is ready: {url}\nCtrl-C ends it and its servers.")
    while True:
        children.pause()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m example_project.demo", description="Run the whole demo.")
    parser.add_argument("--port", type=int, default=8000, help="port of the site (default: %(default)s)")
    options = parser.parse_args()
    if not 0 < options.port < 65536:
        parser.error("--port must be a number from 1 to 65535")
    try:
        with Children(ROOT) as children:
            serve(children, options.port)
    except Stopped:
        pass
    except (DemoFailed, ChildFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
