"""Dashboard of the captioning service: readiness, latency, errors, load."""

from monitoring.dashboards.panels import RATE, Dashboard, Panel, Query

_STAGE = 'snap2caption_stage_seconds_bucket{job="serving"'


def _quantile(share: float, matchers: str, by: str = "le") -> str:
    return f"histogram_quantile({share}, sum by ({by}) (rate({_STAGE}{matchers}}}[{RATE}])))"


PAGE = Dashboard(
    uid="snap2caption-service",
    title="Snap2Caption: service",
    description="Is the captioning service ready, fast enough, and is there room?",
    panels=(
        Panel(
            "Ready", "1 while /readyz says that photos can be captioned.", "bool_yes_no",
            [Query('min(snap2caption_ready{job="serving"})', "ready")], single=True,
        ),
        Panel(
            "Slow captions this hour", "The share of captions above 2 s; the promise allows 10 % over 30 days.", "percentunit",
            [Query("snap2caption:captions_slow:ratio_rate1h", "slow")], single=True,
        ),
        Panel(
            "Time to a caption", "From the decoding of the photo to the answer. The promise is a P90 under 2 s.", "s",
            [Query(_quantile(share, ', stage="total"'), f"P{share * 100:.0f}") for share in (0.5, 0.9, 0.99)],
        ),
        Panel(
            "Where the time goes", "P90 of each stage. A growing queue is load; a growing generation is the model or its machine.", "s",
            [Query(_quantile(0.9, ', stage!="total"', "le, stage"), "{{stage}}")],
        ),
        Panel(
            "Requests", "Requests for captions by HTTP status.", "reqps",
            [Query(f'sum by (status) (rate(snap2caption_requests_total{{job="serving"}}[{RATE}])) > 0', "{{status}}")],
        ),
        Panel(
            "Refusals", "Refused requests by reason; docs/api.md lists the reasons.", "reqps",
            [Query(f'sum by (reason) (rate(snap2caption_refusals_total{{job="serving"}}[{RATE}]))', "{{reason}}")],
        ),
        Panel(
            "Photos in the service", "Decoded, waiting or being captioned, next to how many may be.", "short",
            [
                Query('sum(snap2caption_photos_in_flight{job="serving"})', "in flight"),
                Query('sum(snap2caption_queue_depth{job="serving"})', "waiting"),
                Query('sum(snap2caption_photos_capacity{job="serving"})', "capacity"),
            ],
        ),
        Panel(
            "Batch size", "Photos that the model captions at once, on average.", "short",
            [
                Query(
                    f'sum(rate(snap2caption_batch_size_sum{{job="serving"}}[{RATE}]))'
                    f' / sum(rate(snap2caption_batch_size_count{{job="serving"}}[{RATE}]))',
                    "photos",
                )
            ],
        ),
        Panel(
            "Generated tokens", "Tokens per second of all photos together.", "short",
            [Query(f'sum(rate(snap2caption_generated_tokens_total{{job="serving"}}[{RATE}]))', "tokens/s")],
        ),
        Panel(
            "Budget burned", "Multiples of the rate that uses up the budget of 30 days, over an hour.", "short",
            [
                Query("snap2caption:captions_slow:ratio_rate1h / 0.10", "latency"),
                Query("snap2caption:requests_failed:ratio_rate1h / 0.01", "errors"),
            ],
        ),
        Panel(
            "Does not work as it should", "1 for what is degraded although captions are written.", "short",
            [Query('max by (what) (snap2caption_degraded{job="serving"})', "{{what}}")],
        ),
        Panel(
            "Build", "Versions of the service and of Python that run.", "short",
            [Query('snap2caption_build_info{job="serving"}', "{{version}}, Python {{python}}")], single=True,
        ),
    ),
)  # fmt: skip
