"""Label Studio on SQLite, in an environment of its own, since it pins other versions than ours."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from demo.stack.ports import HOST, Ports
from demo.stack.secret_files import keep_secrets
from demo.stack.service import Service
from demo.stack.services.airflow import WEBHOOK_USER, AirflowAccess
from snap2caption.errors import UserError

USER = "admin@example.com"

_ENVIRONMENT = "label-studio"
_DATABASE = "label_studio.sqlite3"
_MIGRATED = "migrated"
_OURS = ("PYTHONPATH", "VIRTUAL_ENV", "DATABASE_NAME", "DJANGO_DB")
"""Variables of our process that would affect its Python or its database."""


@dataclass(frozen=True, slots=True)
class LabelStudioAccess:
    """Label Studio's address, a person's login, the token of programs, and the webhook's address and secret."""

    url: str
    user: str
    password: str
    token: str
    webhook_url: str
    webhook_secret: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment of Label Studio's clients."""
        return {
            "SNAP2CAPTION_LABEL_STUDIO_URL": self.url,
            "SNAP2CAPTION_LABEL_STUDIO_TOKEN": self.token,
            "SNAP2CAPTION_LABEL_STUDIO_WEBHOOK_URL": self.webhook_url,
            "SNAP2CAPTION_LABEL_STUDIO_WEBHOOK_SECRET": self.webhook_secret,
        }


def label_studio(state: Path, ports: Ports, s3_client: Mapping[str, str]) -> tuple[Service, LabelStudioAccess]:
    """Return how to run Label Studio with its data under *state*, and how to reach it.

    It serves photos from the S3 server. *s3_client* is the environment of that server's clients.

    Raises:
        UserError: it is not installed.
    """
    home = _find_environment()
    data = state / "label-studio"
    # Its database holds the token.
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = data / _DATABASE
    if not database.exists():
        # Migrated once at installation, which saves the first start half a minute.
        draft = database.with_suffix(".draft")
        shutil.copyfile(home / _MIGRATED / _DATABASE, draft)
        draft.replace(database)
    port = ports.get("label-studio")
    url = f"http://{HOST}:{port}"
    # Its database outlives the server. Label Studio's tokens have 40 digits.
    secret = keep_secrets(data / "secrets.json", ("password", "token", "webhook"), 20)
    settings = {
        "BASE_DATA_DIR": str(data),
        "HOST": url,
        "USERNAME": USER,
        "PASSWORD": secret["password"],
        "USER_TOKEN": secret["token"],
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "SESSION_COOKIE_SAMESITE": "Lax",
        "DEBUG": "false",
        "LOG_LEVEL": "WARNING",
        # All its peers are on this machine. By default it blocks such addresses, against server-side request forgery.
        "SSRF_PROTECTION_ENABLED": "false",
        "S3_ENDPOINT": s3_client["AWS_ENDPOINT_URL"],
    }
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    service = Service(
        name="label-studio",
        command=(
            str(home / "bin" / "label-studio"),
            "start",
            "--no-browser",
            "--enable-legacy-api-token",
            f"--internal-host={HOST}",
            f"--port={port}",
            # The only effect of this is that it does not silently move to the next port if its own is taken.
            "--debug",
        ),
        environment={
            **inherited,
            **s3_client,
            **{f"LABEL_STUDIO_{name}": value for name, value in settings.items()},
        },
        ready_url=f"{url}/health",
        grace=4.0,
    )
    webhook_url = f"http://{HOST}:{ports.get('label-studio-webhook')}/"
    return service, LabelStudioAccess(url, USER, secret["password"], secret["token"], webhook_url, secret["webhook"])


def label_studio_webhook(label_studio: LabelStudioAccess, airflow: AirflowAccess) -> Service:
    """Return how to run the webhook's receiver, which notifies Airflow."""
    port = str(urlsplit(label_studio.webhook_url).port)
    return Service(
        name="label-studio-webhook",
        command=(sys.executable, "-m", "snap2caption", "label-studio-webhook", "--host", HOST, "--port", port),
        environment={
            **os.environ,
            **label_studio.environment,
            "SNAP2CAPTION_AIRFLOW_URL": airflow.url,
            "SNAP2CAPTION_AIRFLOW_USER": WEBHOOK_USER,
            "SNAP2CAPTION_AIRFLOW_PASSWORD": airflow.webhook_password,
        },
        ready_url=f"{label_studio.webhook_url}healthz",
        grace=3.0,
    )


def _find_environment() -> Path:
    home = Path(sys.executable).parent.parent / _ENVIRONMENT
    if not (home / _MIGRATED / _DATABASE).is_file():
        raise UserError("Label Studio's server is not installed; run `make label-studio`.")
    return home
