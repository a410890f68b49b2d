"""Hooks that turn an Airflow connection into the standard environment variables of a service's client."""

from collections.abc import Mapping
from typing import Any, ClassVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException


class EnvironmentHook(BaseHook):
    """Base of hooks that give a command the variables that it needs to reach a service.

    This way, secrets may live in any secrets backend of Airflow. Without the connection, the worker's variables apply.
    """

    conn_name_attr = "conn_id"
    default_conn_name: ClassVar[str]

    def __init__(self, conn_id: str | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id or self.default_conn_name

    def environment(self) -> dict[str, str]:
        """Return the variables; none if there is no such connection."""
        try:
            connection = self.get_connection(self.conn_id)
        except AirflowNotFoundException:
            return {}
        return {name: str(value) for name, value in self.variables(connection).items() if value}

    def variables(self, connection: Any) -> Mapping[str, Any]:
        """Return the variables for *connection*; empty ones are left out."""
        raise NotImplementedError


class StoreHook(EnvironmentHook):
    """The object store. The connection's type is ``aws`` (as of Airflow's Amazon provider), or anything else for Swift.

    For Swift, ``extra`` holds the ``OS_*`` variables by their own names, and the password is that of the user or of the
    application credential. Without ``OS_*`` variables, host, login and password are those of the v1 login.
    """

    default_conn_name = "snap2caption_store"

    def variables(self, connection: Any) -> Mapping[str, Any]:
        """Return ``AWS_*``, ``OS_*`` or ``ST_*``."""
        extra = connection.extra_dejson
        if connection.conn_type == "aws":
            return {
                "AWS_ACCESS_KEY_ID": connection.login,
                "AWS_SECRET_ACCESS_KEY": connection.password,
                "AWS_SESSION_TOKEN": extra.get("aws_session_token"),
                "AWS_ENDPOINT_URL": extra.get("endpoint_url"),
                "AWS_DEFAULT_REGION": extra.get("region_name"),
            }
        keystone = {name: value for name, value in extra.items() if name.startswith("OS_")}
        if not keystone:
            return {"ST_AUTH": connection.host, "ST_USER": connection.login, "ST_KEY": connection.password}
        by_application = "OS_APPLICATION_CREDENTIAL_ID" in keystone
        secret = "OS_APPLICATION_CREDENTIAL_SECRET" if by_application else "OS_PASSWORD"
        return {secret: connection.password, **keystone}


class LabelStudioHook(EnvironmentHook):
    """Label Studio: ``host`` is its address with the scheme, the password is the token."""

    default_conn_name = "snap2caption_label_studio"

    def variables(self, connection: Any) -> Mapping[str, Any]:
        """Return the server's address and our credentials."""
        port = f":{connection.port}" if connection.port else ""
        return {
            "SNAP2CAPTION_LABEL_STUDIO_URL": f"{connection.host}{port}" if connection.host else None,
            "SNAP2CAPTION_LABEL_STUDIO_TOKEN": connection.password,
        }


class MlflowHook(EnvironmentHook):
    """The MLflow server: ``host`` is its address with the scheme; login and password, if it requires them."""

    default_conn_name = "snap2caption_mlflow"

    def variables(self, connection: Any) -> Mapping[str, Any]:
        """Return the server's address and our credentials."""
        port = f":{connection.port}" if connection.port else ""
        return {
            "SNAP2CAPTION_MLFLOW_TRACKING_URI": f"{connection.host}{port}" if connection.host else None,
            "MLFLOW_TRACKING_USERNAME": connection.login,
            "MLFLOW_TRACKING_PASSWORD": connection.password,
        }
