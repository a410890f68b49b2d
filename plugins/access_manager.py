"""Airflow's simple auth manager with a user for the webhook's receiver, who may read, and raise events of assets.

The least privileged of Airflow's roles that may raise events (Op) may also change connections and variables.
"""

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

from etl.feedback.label_studio.settings import AirflowSettings

WEBHOOK_USER = AirflowSettings.model_fields["user"].default


class AccessManager(SimpleAuthManager):
    """Roles and permissions."""

    def is_authorized_asset(self, *, method: str, user: SimpleAuthManagerUser, details: object = None) -> bool:
        """Whether *user* may do that with assets."""
        allowed: bool = super().is_authorized_asset(method=method, user=user, details=details)
        return allowed or (user.username == WEBHOOK_USER and method == "POST")
