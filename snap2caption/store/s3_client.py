"""boto3's S3 client, which asks only once for what all requests to a bucket have in common.

For each request, boto3 resolves the endpoint, and calls some twenty hooks, of which few concern S3 objects. That is
half of the processor time of a small request. Here the five frequent operations go straight from botocore's serializer
to its signer, its HTTP session and its parser. Whatever is unusual goes the usual way: streamed bodies, other
signatures, redirects, refusals, and lost connections.
"""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.client import BaseClient
from botocore.config import Config
from botocore.endpoint import convert_to_response_dict
from botocore.exceptions import ConnectionClosedError
from botocore.handlers import decode_list_object_v2, remove_bucket_from_url_paths_from_model

_SERVICE = "s3"
_LIST = "ListObjectsV2"
_DIRECT = {"PutObject", "HeadObject", "GetObject", "DeleteObject", _LIST}
_EXPLAINED = {301, 307, 308, 400, 403}
"""Statuses of which boto3 knows more: the bucket is in another region, or the server wants something else."""

_DECODED = {"encoding_type_auto_set": True}


@dataclass(frozen=True, slots=True)
class _Target:
    """Where an operation's requests to a bucket go, and how they are signed."""

    model: Any
    url: str
    region: str


class _DirectClient(BaseClient):
    """Base class of the client. *parameters* must be valid: they are not checked."""

    def _make_api_call(self, operation: str, parameters: dict[str, Any]) -> Any:
        target = self._target(operation, parameters) if operation in _DIRECT else None
        if target is None:
            return super()._make_api_call(operation, parameters)
        try:
            response = self._send(target, parameters)
        except ConnectionClosedError:
            # An idle connection has ended, or the server refused before it had the body. boto3 asks it first.
            return super()._make_api_call(operation, parameters)
        status = response.status_code
        if status in _EXPLAINED:
            return super()._make_api_call(operation, parameters)
        answer = self._response_parser.parse(
            convert_to_response_dict(response, target.model), target.model.output_shape
        )
        if status >= 300:
            raise self.exceptions.from_code(answer.get("Error", {}).get("Code"))(answer, operation)
        if operation == _LIST:
            decode_list_object_v2(answer, _DECODED)
        return answer

    def _send(self, target: _Target, parameters: dict[str, Any]) -> Any:
        encoded = parameters | {"EncodingType": "url"} if target.model.name == _LIST else parameters
        described = self._serializer.serialize_to_request(encoded, target.model)
        context = {"client_config": self.meta.config}
        prepare_request_dict(described, target.url, context, self.meta.config.user_agent)
        request = create_request_object(described)
        request.stream_output = target.model.has_streaming_output
        self._request_signer.get_auth_instance(_SERVICE, target.region).add_auth(request)
        return self._endpoint.http_session.send(request.prepare())

    def _target(self, operation: str, parameters: dict[str, Any]) -> _Target | None:
        """Return where the request goes; None if it is one that only boto3 knows how to make."""
        if not isinstance(parameters.get("Body", b""), bytes):
            return None
        # A dictionary of the instance: several threads may resolve the same, and get the same.
        targets: dict[tuple[str, str], _Target | None] = self.__dict__.setdefault("_targets", {})
        one = operation, parameters["Bucket"]
        if one not in targets:
            targets[one] = self._resolve(*one)
        return targets[one]

    def _resolve(self, operation: str, bucket: str) -> _Target | None:
        model = self.meta.service_model.operation_model(operation)
        context: dict[str, Any] = {
            "client_region": self.meta.region_name,
            "client_config": self.meta.config,
            "has_streaming_input": model.has_streaming_input,
            "auth_type": model.resolved_auth_type,
        }
        # Of the URL, the endpoint has the bucket.
        remove_bucket_from_url_paths_from_model({}, model, context)
        url, headers, properties = self._resolve_endpoint_ruleset(model, {"Bucket": bucket, "Key": "any"}, context)
        signing = context.get("signing", {})
        usual = context["auth_type"] == "v4" and self._request_signer.signature_version == "s3v4"
        if not usual or headers or properties.get("backend") or signing.get("signing_name") != _SERVICE:
            return None
        return _Target(model, url, signing["region"])


def open_client(config: Config) -> Any:
    """Return an S3 client for the standard AWS_* variables. The user agent must be among *config*."""
    session = boto3.session.Session()
    session.events.register("creating-client-class.s3", _insert)
    return session.client(_SERVICE, config=config)


def _insert(base_classes: list[type], **_: Any) -> None:
    base_classes.insert(0, _DirectClient)
