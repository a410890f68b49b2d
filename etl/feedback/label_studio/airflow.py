"""Client for Airflow's REST API: raises asset events."""

import threading

import httpx

from etl.feedback.label_studio.settings import AirflowSettings
from snap2caption.errors import UserError

ANNOTATIONS = "snap2caption://annotations"
"""Asset whose events announce new annotations; `plugins.assets` uses the same name."""


class AssetEvents:
    """Raises events of one asset. It logs in again when its token has expired."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._settings = settings
        self._http = httpx.Client(base_url=str(settings.url).rstrip("/"), timeout=20.0)
        self._lock = threading.Lock()
        self._asset: int | None = None

    def raise_event(self) -> None:
        """Raise one event.

        Raises:
            UserError: Airflow is unavailable, refuses, or has no DAG that waits for the asset.
        """
        try:
            with self._lock:
                response = self._post()
                if response.status_code == httpx.codes.UNAUTHORIZED:
                    self._login()
                    response = self._post()
                elif response.status_code == httpx.codes.NOT_FOUND:
                    # Airflow's database was created anew, so the asset has another id.
                    self._asset = None
                    response = self._post()
        except httpx.TransportError as error:
            raise UserError(f"Airflow at {self._settings.url} can't be reached ({error}).") from error
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(
                f"What answers at {self._settings.url} is not Airflow; correct SNAP2CAPTION_AIRFLOW_URL."
            ) from error
        if not response.is_success:
            raise UserError(
                f"Airflow at {self._settings.url} did not accept the event (status {response.status_code})."
            )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _post(self) -> httpx.Response:
        if "Authorization" not in self._http.headers:
            self._login()
        if self._asset is None:
            response = self._http.get("/api/v2/assets", params={"name_pattern": ANNOTATIONS})
            if not response.is_success:
                return response
            self._asset = next(
                (found["id"] for found in response.json()["assets"] if found["name"] == ANNOTATIONS), None
            )
        if self._asset is None:
            raise UserError(f"Airflow has no asset {ANNOTATIONS}; let it load the DAG `feedback`.")
        return self._http.post("/api/v2/assets/events", json={"asset_id": self._asset, "extra": {}})

    def _login(self) -> None:
        self._http.headers.pop("Authorization", None)
        if self._settings.password is None:
            raise UserError(
                "Airflow asks for a login; set SNAP2CAPTION_AIRFLOW_PASSWORD to that of SNAP2CAPTION_AIRFLOW_USER."
            )
        login = {"username": self._settings.user, "password": self._settings.password.get_secret_value()}
        response = self._http.post("/auth/token", json=login)
        if not response.is_success:
            raise UserError(
                f"Airflow at {self._settings.url} refused the login (status {response.status_code}); correct "
                "SNAP2CAPTION_AIRFLOW_USER and SNAP2CAPTION_AIRFLOW_PASSWORD."
            )
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
