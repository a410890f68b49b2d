"""Traces of requests by OpenTelemetry (the extra ``tracing``). Where they go say the standard variables, ``OTEL_EXPORTER_OTLP_*``."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.types import Scope

from serving.paths import METRICS, PROBES, shown_path
from snap2caption.errors import UserError

if TYPE_CHECKING:
    from opentelemetry.trace import Span


def trace(app: FastAPI) -> Callable[[], None]:
    """Have each request to *app* traced; a trace that comes with a request is gone on with. Returns what sends the last spans and stops.

    Raises:
        UserError: the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UserError(
            f"{error.name} is missing for traces; pip install 'snap2caption[tracing]', or set SNAP2CAPTION_SERVING_TRACES=false."
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME", "snap2caption-serving")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    app.add_middleware(
        OpenTelemetryMiddleware,
        tracer_provider=provider,
        excluded_urls=",".join(f"{path}$" for path in sorted(PROBES | {METRICS})),
        exclude_spans=["receive", "send"],
        server_request_hook=_leave_the_query_out,
    )
    return provider.shutdown


def _leave_the_query_out(span: "Span", scope: Scope) -> None:
    # Nothing here takes one; what somebody sends in it all the same may be a key.
    span.set_attribute("http.url", shown_path(scope))
