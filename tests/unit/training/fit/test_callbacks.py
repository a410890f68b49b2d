import math

import pytest

from training.fit.callbacks import best_step, should_stop_early
from training.recipes.sections import TrainingSettings

pytestmark = pytest.mark.unit


def history(*losses: float) -> list[dict[str, float]]:
    """A Trainer's history in which training losses stand between the validation losses."""
    rows: list[dict[str, float]] = []
    for number, loss in enumerate(losses, 1):
        rows += [{"loss": 9.0, "step": 10 * number - 5}, {"eval_loss": loss, "step": 10 * number}]
    return rows


@pytest.mark.parametrize(
    ("losses", "patience", "least", "over"),
    [
        ((3.0, 2.0, 2.5), 1, 0.0, True),
        ((3.0, 2.0, 2.5), 2, 0.0, False),
        ((3.0, 2.0, 2.5, 2.4), 2, 0.0, True),
        # Better than the last one is not better than the best one.
        ((2.0, 2.5, 2.4, 2.3), 3, 0.0, True),
        ((2.0, 2.5, 1.9, 2.3), 2, 0.0, False),
        ((3.0, 2.95, 2.92), 2, 0.1, True),
        # Small steps add up.
        ((3.0, 2.95, 2.89), 2, 0.1, False),
        ((2.0, 2.0), 1, 0.0, True),
        ((2.0, math.nan, math.nan), 2, 0.0, True),
        ((9.0, 9.5, 9.9), None, 0.0, False),
        ((), 1, 0.0, False),
    ],
)
def test_training_is_over_when_the_loss_has_stopped_falling(losses, patience, least, over):
    settings = TrainingSettings(early_stopping_patience=patience, early_stopping_threshold=least)
    assert should_stop_early(history(*losses), settings) is over


@pytest.mark.parametrize(
    ("losses", "best"),
    [((3.0, 2.0, 2.5), 20), ((2.0, 2.0), 10), ((math.nan, 2.0), 20), ((math.nan,), None), ((), None)],
)
def test_the_best_step_is_the_first_with_the_lowest_loss(losses, best):
    assert best_step(history(*losses)) == best
