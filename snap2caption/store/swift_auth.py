"""OpenStack Swift authentication and connections."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from queue import Empty, LifoQueue
from typing import Any, TypeVar

from snap2caption.store.base import StoreError

Result = TypeVar("Result")

Work = Callable[[str, str, Any], Result]
"""Called with the account's address, a token and a connection, which are the arguments of swiftclient's functions."""


class SwiftAccount:
    """A Swift account: its address, a token, and connections that stay open between requests.

    Credentials come from the places that OpenStack's own tools read: ``clouds.yaml`` with OS_CLOUD, or the OS_*
    variables, for Keystone v3 (password, application credential, …). ST_AUTH, ST_USER and ST_KEY log in to a Swift
    without Keystone (v1).
    """

    def __init__(self, seconds: float) -> None:
        """A connection counts as lost after *seconds* without a byte."""
        self._seconds = seconds
        self._idle: LifoQueue[Any] = LifoQueue()

    def run(self, work: Work[Result], connection: Any = None) -> Result:
        """Return what *work* returns. If the token has expired, try once more with a new one.

        Args:
            work: one request.
            connection: one from `connect`, for an answer that is read after *work* has returned; by default, a
                pooled one.
        """
        from requests import ConnectionError as LostConnectionError
        from swiftclient import ClientException

        try:
            return self._attempt(work, connection)
        except ClientException as error:
            if error.http_status != 401:
                raise
        except LostConnectionError:
            # A server may refuse a token by hanging up on a long upload, and the refusal gets lost.
            self._session.invalidate()
            raise
        self._session.invalidate()
        return self._attempt(work, connection)

    def connect(self) -> Any:
        """Open a connection; the caller closes it."""
        from swiftclient import http_connection

        verify, cert = self._session.verify, self._session.cert
        cert, key = cert if isinstance(cert, tuple) else (cert, None)
        return http_connection(
            self._url,
            cacert=verify if isinstance(verify, str) else None,
            insecure=verify is False,
            cert=cert,
            cert_key=key,
            timeout=self._seconds,
        )

    def _attempt(self, work: Work[Result], connection: Any) -> Result:
        if connection is not None:
            return work(self._url, self._session.get_token(), connection)
        with self._kept() as kept:
            return work(self._url, self._session.get_token(), kept)

    @contextmanager
    def _kept(self) -> Iterator[Any]:
        # swiftclient's connections are not thread-safe.
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self.connect()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    @property
    def _session(self) -> Any:
        return self._login[0]

    @property
    def _url(self) -> str:
        return self._login[1]

    @cached_property
    def _login(self) -> tuple[Any, str]:
        """The session, which gets tokens, and the account's address."""
        if "ST_AUTH" in os.environ:
            return _log_in_without_keystone(self._seconds)
        return _log_in(self._seconds)


def _log_in_without_keystone(seconds: float) -> tuple[Any, str]:
    from keystoneauth1.session import Session
    from swiftclient.authv1 import PasswordPlugin

    env = os.environ
    session = Session(PasswordPlugin(env["ST_AUTH"], env.get("ST_USER"), env.get("ST_KEY")), timeout=seconds)
    return session, session.get_endpoint(service_type="object-store")


def _log_in(seconds: float) -> tuple[Any, str]:
    from keystoneauth1.exceptions import MissingRequiredOptions, NoMatchingPlugin
    from openstack.config import OpenStackConfig
    from openstack.exceptions import ConfigException

    # Horizon's openrc files set the authentication type. Variables that are set by hand often lack it.
    by_application = "OS_APPLICATION_CREDENTIAL_ID" in os.environ and not {"OS_AUTH_TYPE", "OS_CLOUD"} & set(os.environ)
    try:
        cloud = OpenStackConfig().get_one(**({"auth_type": "v3applicationcredential"} if by_application else {}))
        session = cloud.get_session()
    except (ConfigException, MissingRequiredOptions, NoMatchingPlugin) as error:
        raise StoreError(
            f"No credentials for Swift ({error}); source an openrc file, name a cloud of clouds.yaml in OS_CLOUD, "
            "or set ST_AUTH, ST_USER and ST_KEY."
        ) from error
    session.timeout = session.timeout or seconds
    url = cloud.get_session_endpoint("object-store")
    if url is None:
        raise StoreError("The cloud has no object store in this region; check OS_REGION_NAME and the project.")
    return session, url
