"""Airflow's REST API, as far as an outside event needs it."""

import threading

import httpx

from etl.feedback.label_studio.settings import AirflowSettings
from snap2caption.errors import UserError

ANNOTATIONS = "snap2caption://annotations"
"""The asset whose events say that there is something to pull; `plugins.assets` has it by the same name."""


class AssetEvents:
    """Raises events of one asset. Its token is renewed where Airflow says that it has run out."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._settings = settings
        self._http = httpx.Client(base_url=str(settings.url).rstrip("/"), timeout=20.0)
        self._lock = threading.Lock()
        self._asset: int | None = None

    def raise_event(self) -> None:
        """Raise one event.

        Raises:
            UserError: Airflow is away, refuses, or has no DAG that waits for the asset.
        """
        try:
            with self._lock:
                answer = self._post()
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    self._login()
                    answer = self._post()
                elif answer.status_code == httpx.codes.NOT_FOUND:
                    # Airflow's database was made anew.
                    self._asset = None
                    answer = self._post()
        except httpx.TransportError as error:
            raise UserError(f"Airflow at {self._settings.url} can't be reached ({error}).") from error
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(
                f"What answers at {self._settings.url} is not Airflow; correct SNAP2CAPTION_AIRFLOW_URL."
            ) from error
        if not answer.is_success:
            raise UserError(f"Airflow at {self._settings.url} took no event (status {answer.status_code}).")

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def _post(self) -> httpx.Response:
        if "Authorization" not in self._http.headers:
            self._login()
        if self._asset is None:
            answer = self._http.get("/api/v2/assets", params={"name_pattern": ANNOTATIONS})
            if not answer.is_success:
                return answer
            self._asset = next((found["id"] for found in answer.json()["assets"] if found["name"] == ANNOTATIONS), None)
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
        answer = self._http.post("/auth/token", json=login)
        if not answer.is_success:
            raise UserError(
                f"Airflow at {self._settings.url} refused the login (status {answer.status_code}); correct "
                "SNAP2CAPTION_AIRFLOW_USER and SNAP2CAPTION_AIRFLOW_PASSWORD."
            )
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
