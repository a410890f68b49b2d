"""Dashboard of model quality: champion and challenger, ratings, edits, tones, rejected models and texts."""

from monitoring.dashboards.panels import RATE, Dashboard, Panel, Query

PAGE = Dashboard(
    uid="snap2caption-model-quality",
    title="Snap2Caption: model quality",
    description="Which models are in service, and what creators think of their captions.",
    panels=(
        Panel(
            "Loaded models", "The versions that are loaded, with their roles.", "short",
            [Query('snap2caption_model_role{job="serving"}', "{{role}}: {{model}}")], single=True,
        ),
        Panel(
            "New models", "Swaps of the model in the last day, by outcome.", "short",
            [Query('sum by (outcome) (increase(snap2caption_model_swaps_total{job="serving"}[1d]))', "{{outcome}}")], single=True,
        ),
        Panel(
            "Time by role", "P90 of the time to a caption, champion next to challenger.", "s",
            [Query("snap2caption:model_seconds:p90_1h", "{{role}}")],
        ),
        Panel(
            "Failures by role", "The share of photos that failed.", "percentunit",
            [Query("snap2caption:model_errors:ratio_rate1h", "{{role}}")],
        ),
        Panel(
            "Rating by role", "Mean of the creators' ratings (1 to 5) in a day. A challenger half a star below is an alert.", "short",
            [Query("snap2caption:model_rating:mean_1d", "{{role}}")],
        ),
        Panel(
            "Ratings", "Ratings by their number of stars.", "short",
            [Query(f"sum by (rating) (rate(snap2caption_feedback_ratings_total[{RATE}])) * 3600", "{{rating}} stars an hour")],
        ),
        Panel(
            "Verdicts", "What creators did with captions: accepted, edited or rejected.", "short",
            [Query(f"sum by (verdict) (rate(snap2caption_feedback_verdicts_total[{RATE}])) * 3600", "{{verdict}} an hour")],
        ),
        Panel(
            "Accepted by tone", "The share of captions that were accepted as they were.", "percentunit",
            [
                Query(
                    'sum by (tone) (increase(snap2caption_feedback_verdicts_total{verdict="accepted"}[1d]))'
                    " / sum by (tone) (increase(snap2caption_feedback_verdicts_total[1d]))",
                    "{{tone}}",
                )
            ],
        ),
        Panel(
            "Edits", "Mean edit distance of captions that creators changed: 0 is unchanged, 1 is rewritten.", "percentunit",
            [
                Query(
                    "sum by (model_version) (increase(snap2caption_feedback_edit_distance_sum[1d]))"
                    " / sum by (model_version) (increase(snap2caption_feedback_edit_distance_count[1d]))",
                    "{{model_version}}",
                )
            ],
        ),
        Panel(
            "Unsafe texts", "The share of generated texts that were withheld.", "percentunit",
            [
                Query(
                    'sum by (kind) (increase(snap2caption_unsafe_total{job="serving"}[1h]))'
                    ' / sum by (kind) (increase(snap2caption_checked_total{job="serving"}[1h]))',
                    "{{kind}}",
                )
            ],
        ),
        Panel(
            "Unfamiliar photos", "Photos unlike those that the model was trained with.", "short",
            [Query(f'sum(rate(snap2caption_unfamiliar_photos_total{{job="serving"}}[{RATE}])) * 3600', "an hour")],
        ),
        Panel(
            "Refused champion", "1 while the registry's champion is refused, by reason.", "short",
            [Query('max by (reason) (snap2caption_champion_refused{job="serving"})', "{{reason}}")],
        ),
    ),
)  # fmt: skip
