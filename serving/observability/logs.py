"""The service's log: one JSON object a line on standard error, with the request that it belongs to."""

import logging
import sys
import warnings

import structlog

from snap2caption.redaction import redact


def log_as_json() -> None:
    """Write what the service and its libraries log as JSON. A field that a call gives as ``extra`` is a field of the object."""
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
    # Pillow warns of each odd field of a photo's metadata: thousands, if a stranger wants.
    warnings.filterwarnings("ignore", module=r"PIL\.")
