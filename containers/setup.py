"""Set-up of the stack: roles and databases by SQL, Airflow's schema, buckets.

It runs before every start, in the image of the pipelines, and changes nothing that is as it should be. Passwords
become those of the secret files. With the argument ``databases``, it leaves the databases empty, for a restore.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SECRETS = Path("/run/secrets")

BUCKETS = ("datasets", "feedback", "mlflow")


@dataclass(frozen=True)
class Database:
    """A database and the role that owns it, from the secret file with its URL."""

    url: str

    @property
    def name(self) -> str:
        """The name of the database."""
        return urlsplit(self.url).path.lstrip("/")

    @property
    def role(self) -> str:
        """The name of the role."""
        return urlsplit(self.url).username or ""

    @property
    def password(self) -> str:
        """The password of the role."""
        return urlsplit(self.url).password or ""


def secret(name: str) -> str:
    """Return the content of a secret file."""
    return (SECRETS / name).read_text(encoding="utf-8").strip()


def databases() -> list[Database]:
    """Return the databases of the stack."""
    return [
        Database(secret(f"{name}_database_url")) for name in ("airflow", "mlflow", "mlflow_accounts", "label_studio")
    ]


@contextmanager
def administering(host: str = "postgres") -> Iterator[Any]:
    """Connect as PostgreSQL's superuser, and yield a cursor outside a transaction: CREATE DATABASE wants that.

    SystemExit: PostgreSQL refuses the password. It keeps the one that its volume was created with.
    """
    import psycopg2

    password = secret("postgres_password")
    try:
        connection = psycopg2.connect(host=host, user="postgres", password=password, dbname="postgres")
    except psycopg2.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        sys.exit(
            "error: The volumes are from a stack with other secrets: PostgreSQL refuses secrets/postgres_password."
            " Put that stack's folder secrets back, or delete its data with `make down VOLUMES=1`."
        )
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def set_up_database(cursor: Any, database: Database) -> bool:
    """Make sure that role and database exist, and that nobody else may connect. Return whether it was created."""
    from psycopg2 import sql

    role, name = sql.Identifier(database.role), sql.Identifier(database.name)
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (database.role,))
    verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
    cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD %s").format(verb, role), (database.password,))
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database.name,))
    created = cursor.fetchone() is None
    if created:
        cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))
    cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    return created


def create_buckets(endpoint: str = "http://seaweedfs:8333") -> list[str]:
    """Create the buckets that are missing, and return their names."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=secret("s3_setup_key"),
        aws_secret_access_key=secret("s3_setup_secret"),
        region_name="us-east-1",
    )
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    missing = [name for name in BUCKETS if name not in present]
    for name in missing:
        client.create_bucket(Bucket=name)
    return missing


def main(*, databases_only: bool) -> None:
    """Set everything up, and say what was created."""
    with administering() as cursor:
        created = [f"database {database.name}" for database in databases() if set_up_database(cursor, database)]
    if databases_only:
        return
    subprocess.run(["airflow", "db", "migrate"], check=True, stdout=sys.stderr)
    created += [f"bucket {name}" for name in create_buckets()]
    print("\n".join(f"created {what}" for what in created) or "nothing to create", flush=True)


if __name__ == "__main__":
    main(databases_only=sys.argv[1:] == ["databases"])
