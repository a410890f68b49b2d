"""Request tracing with OpenTelemetry (extra ``tracing``), configured by the standard ``OTEL_*`` variables."""

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
    """Trace every request to *app*. A request that carries a trace context continues that trace.

    Returns:
        A function that flushes the remaining spans and stops tracing.

    Raises:
        UserError: the extra ``tracing`` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UserError(
            f"Traces need {error.name}, which is not installed; "
            "install snap2caption with its extra `tracing` (docs/installation.md), "
            "or set SNAP2CAPTION_SERVING_TRACES=false."
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME", "snap2caption-serving")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    app.add_middleware(
        OpenTelemetryMiddleware,
        tracer_provider=provider,
        excluded_urls=",".join(f"{path}$" for path in sorted(PROBES | {METRICS})),
        exclude_spans=["receive", "send"],
        server_request_hook=_omit_query,
    )
    return provider.shutdown


def _omit_query(span: "Span", scope: Scope) -> None:
    # No route has query parameters. What a client sends there anyway may be a key.
    span.set_attribute("http.url", shown_path(scope))
