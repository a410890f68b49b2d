"""Dashboard of the feedback loop: from a creator's correction to the store, and the age of what came back."""

from monitoring.dashboards.panels import RATE, Dashboard, Panel, Query

PAGE = Dashboard(
    uid="snap2caption-feedback-loop",
    title="Snap2Caption: feedback loop",
    description="Does creators' feedback arrive, reach the store, and come back as a dataset and a model?",
    panels=(
        Panel(
            "Accepted feedback", "Feedback that was accepted; `repeated` was sent twice and counted once.", "short",
            [Query(f"sum by (outcome) (rate(snap2caption_feedback_total[{RATE}])) * 3600", "{{outcome}} an hour")],
        ),
        Panel(
            "Refused feedback", "Feedback that was refused, by reason.", "short",
            [Query(f"sum by (reason) (rate(snap2caption_feedback_refusals_total[{RATE}])) * 3600", "{{reason}} an hour")],
        ),
        Panel(
            "Waiting for the store", "Entries of the outbox, by kind.", "short",
            [Query("max by (what) (snap2caption_feedback_spool)", "{{what}}")],
        ),
        Panel(
            "Longest wait", "How long the oldest entry has waited. Above 15 minutes is an alert.", "s",
            [Query("max(snap2caption_feedback_spool_oldest_seconds)", "oldest")],
        ),
        Panel(
            "Outbox", "Bytes that wait, next to how many may.", "bytes",
            [
                Query("max(snap2caption_feedback_spool_bytes)", "waiting"),
                Query("max(snap2caption_feedback_spool_limit_bytes)", "limit"),
            ],
        ),
        Panel(
            "Deliveries", "Operations in the feedback store, by outcome.", "ops",
            [Query(f"sum by (outcome) (rate(snap2caption_feedback_deliveries_total[{RATE}]))", "{{outcome}}")],
        ),
        Panel(
            "Erasures", "Requests to erase, of one feedback or of all of a creator's.", "short",
            [Query(f"sum by (what) (rate(snap2caption_feedback_erasures_total[{RATE}])) * 86400", "{{what}} a day")],
        ),
        Panel(
            "Not kept", "Requests that could not be kept for feedback because of the disk.", "short",
            [Query(f"sum(rate(snap2caption_feedback_keep_failures_total[{RATE}])) * 3600", "an hour")],
        ),
        Panel(
            "Age of the dataset", "How long ago the dataset version of the hashtag table in use was published.", "s",
            [Query('time() - (max(snap2caption_dataset_published_timestamp_seconds{job="serving"}) > 0)', "age")], single=True,
        ),
        Panel(
            "Known hashtags", "Hashtags of the table in use; 0: all come from the model and the place.", "short",
            [Query('min(snap2caption_hashtags_known{job="serving"})', "hashtags")], single=True,
        ),
        Panel(
            "Silence of the registry", "How long ago the registry answered last.", "s",
            [Query('time() - (max(snap2caption_registry_contact_timestamp_seconds{job="serving"}) > 0)', "ago")], single=True,
        ),
    ),
)  # fmt: skip
