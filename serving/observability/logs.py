"""Structured logging: one JSON object per line on standard error, with the request id."""

import logging
import sys
import warnings

import structlog

from snap2caption.redaction import redact


def log_as_json() -> None:
    """Write the logs of the service and its libraries as JSON. Fields in ``extra`` become fields of the object."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso"),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
                lambda _logger, _method, line: redact(str(line)),
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    # Pillow warns about each odd metadata field of a photo; an attacker can put thousands of them into one.
    warnings.filterwarnings("ignore", module=r"PIL\.")
