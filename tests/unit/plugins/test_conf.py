from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from plugins.conf import OVERRIDABLE, check_conf
from snap2caption.settings import Settings
from training.recipes.loading import load_recipe
from training.recipes.recipe import Recipe
from training.recipes.renamed import RENAMED

pytestmark = pytest.mark.unit


def check(*overrides: str) -> None:
    dag = SimpleNamespace(dag_id="training", params={"overrides": []})
    check_conf({"dag": dag, "dag_run": SimpleNamespace(conf={"overrides": list(overrides)})})


@pytest.mark.parametrize(
    "override",
    [
        "launcher.address=ray://198.51.100.7:10001",
        " launcher.address=ray://198.51.100.7:10001",
        "launcher={kind: ray, address: 'ray://198.51.100.7:10001'}",
        "launcher=ray",
        "launcher.rendezvous=198.51.100.7:29400",
        "launcher.checkpoints=s3://theirs/checkpoints",
        "tracking.wandb_project=theirs",
        "tracking={wandb_project: theirs}",
        "model.base=somebody/model",
        "model={base: somebody/model}",
        "data.uri=file:///etc",
        "data={uri: 'file:///etc'}",
        "data.version=0123456789ab",
        "data.feedback={uri: 'file:///etc', share: 0.5}",
        "trainings.num_train_epochs=1",
        "--force",
        "--config=/etc/passwd",
        "",
        "=1",
    ],
)
def test_a_run_may_not_say_where_it_trains_and_starts(override: str) -> None:
    with pytest.raises(AirflowFailException, match="may not override"):
        check("training.num_train_epochs=1", override)


def test_a_run_may_say_how_a_model_learns_and_is_judged() -> None:
    check(
        "training.num_train_epochs=2",
        "training={num_train_epochs: 2, batch_size: 4}",
        "model.lora.r=4",
        "data.samples_per_city=100",
        "data.feedback.share=0.3",
        "evaluation.max_samples=10",
        "gate.margin=0.1",
    )


@pytest.mark.parametrize("former", RENAMED)
def test_a_former_name_fails_with_the_present_one(former: str) -> None:
    with pytest.raises(AirflowFailException, match=rf"'{former}' is called '{RENAMED[former]}' now"):
        check(f"{former}=1")


def test_each_setting_that_may_be_overridden_is_one_of_a_recipe() -> None:
    recipe: Any = load_recipe(Settings().configs_dir / "feedback.yaml", []).model_dump()
    for setting in OVERRIDABLE:
        section = recipe
        for name in setting.split("."):
            section = section[name]
    # Whoever adds a section to recipes decides whether a run may change it.
    assert set(Recipe.model_fields) == {
        *{setting.partition(".")[0] for setting in OVERRIDABLE},
        "launcher",
        "tracking",
    }
