import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from snap2caption.errors import UserError
from training.recipes.loading import change_judging, load_recipe
from training.recipes.recipe import EvaluationRecipe

pytestmark = pytest.mark.unit

MINIMAL = "model: {base: demo-base, lora: {target_modules: '.*q_proj'}}\n"
CONFIGS = sorted((Path(__file__).parents[4] / "configs").glob("*.yaml"))


@pytest.fixture
def write(tmp_path):
    def write_it(text):
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return path

    return write_it


def test_what_is_left_out_has_a_default(write):
    recipe = load_recipe(write(MINIMAL))
    assert recipe.training.num_train_epochs == 3
    assert recipe.gate.confidence == 0.95


def test_overrides_reach_any_setting(write):
    recipe = load_recipe(
        write(MINIMAL),
        ["training.learning_rate=1e-3", "data.cities=[chicago]", "model.lora.r=4", "data.version=d1"],
    )
    assert (recipe.training.learning_rate, recipe.data.cities, recipe.model.lora.r) == (1e-3, ("chicago",), 4)
    assert recipe.data.version == "d1"


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (
            MINIMAL,
            ["training.num_train_epoch=2"],
            "training.num_train_epoch is not a setting; did you mean num_train_epochs?",
        ),
        (MINIMAL, ["queue.epochs=2"], "queue is not a setting; there are model, data"),
        (
            MINIMAL,
            ["model.lora.lora_dropuot=2"],
            "model.lora.lora_dropuot is not a setting; did you mean lora_dropout?",
        ),
        (
            MINIMAL,
            ["training.num_train_epochs=0"],
            "training.num_train_epochs should be greater than or equal to 1, not 0",
        ),
        (MINIMAL, ["training.num_train_epochs=many"], "training.num_train_epochs should be a whole number"),
        (
            MINIMAL,
            ["training.num_train_epochs=true"],
            "training.num_train_epochs should be a whole number, in digits without quotes, not True",
        ),
        (
            MINIMAL,
            ["training.early_stopping_patience=false"],
            "training.early_stopping_patience should be a whole number, in digits without quotes, not False",
        ),
        (MINIMAL, ["gate.margin=true"], "gate.margin should be a number, in digits without quotes, not True"),
        (
            MINIMAL,
            ["training.num_train_epochs=2.5"],
            "training.num_train_epochs should be a whole number, in digits without quotes, not 2.5",
        ),
        (
            MINIMAL,
            ["training.num_train_epochs=-1"],
            "training.num_train_epochs should be greater than or equal to 1, not -1",
        ),
        (MINIMAL, ["data.stream=1"], "data.stream should be true or false, without quotes, not 1"),
        (MINIMAL, ["data.stream='no'"], "data.stream should be true or false, without quotes, not 'no'"),
        (
            MINIMAL,
            ["training={num_train_epochs: 1, num_train_epochs: 2}"],
            "is not valid YAML (num_train_epochs stands twice",
        ),
        (MINIMAL, ["launcher={kind: ray, resources: {GPU: true}}"], "launcher.resources.GPU should be a number"),
        (
            f"{MINIMAL}training: {{num_train_epochs: 2}}\ntraining: {{global_micro_batch_size: 4}}\n",
            [],
            "training stands twice",
        ),
        (MINIMAL, ["training.learning_rate=.nan"], "training.learning_rate should be a finite number"),
        (
            MINIMAL,
            ["training.precision=float8"],
            "training.precision should be 'auto', 'float32', 'bfloat16' or 'float16', not 'float8'",
        ),
        (MINIMAL, ["model.lora.target_modules='('"], "model.lora.target_modules is not a regular expression"),
        (MINIMAL, ["epochs"], "'epochs' is not an override"),
        (MINIMAL, ["model.base.name=x"], "base holds no settings"),
        (MINIMAL, ["data.cities=[a"], "is not valid YAML"),
        (
            MINIMAL,
            ["launcher.kind=torchrun", "launcher.processes=3"],
            "batch_size is 16, which 3 processes can't share evenly",
        ),
        (MINIMAL, ["data.feedback.share=1"], "data.feedback.share should be less than 1, not 1"),
        (MINIMAL, ["data.feedback.uri=x"], "data.feedback.share is missing; add it."),
        (MINIMAL, ["data.feedback.shares=0.1"], "data.feedback.shares is not a setting; did you mean share?"),
        (
            MINIMAL,
            ["model.load_in_4bit=true"],
            "model.load_in_4bit computes in 16 bits; set training.precision=bfloat16 as well.",
        ),
        (
            MINIMAL,
            ["data.stream=true", "data.feedback.share=0.1"],
            "data.feedback can't be mixed into a stream; set data.stream=false",
        ),
        (MINIMAL, ["launcher=slurm"], "launcher.kind should be 'local', 'torchrun' or 'ray', not 'slurm'"),
        (
            MINIMAL,
            ["launcher.processes=2"],
            "launcher has processes, which is for kind torchrun or ray; this one is local.",
        ),
        (MINIMAL, ["launcher=torchrun", "launcher.address=auto"], "launcher has address, which is for kind ray"),
        (MINIMAL, ["launcher=ray", "launcher.nodes=2"], "launcher has 2 nodes, which is for kind torchrun"),
        (MINIMAL, ["launcher=torchrun", "launcher.nodes=2"], "launcher has several nodes: they need a rendezvous"),
        (
            MINIMAL,
            ["launcher=torchrun", "launcher.rendezvous=node0"],
            "launcher.rendezvous should be a machine's name and a port",
        ),
        (
            MINIMAL,
            ["launcher=torchrun", "launcher.processes=3"],
            "training.global_micro_batch_size is 16, which 3 processes can't share evenly; make it a multiple of 3.",
        ),
        ("model: {base: x}", [], "model.lora is missing; add it."),
        ("- a\n- b", [], "is not a recipe"),
        ("a: [b", [], "is not valid YAML"),
    ],
)
def test_a_mistake_is_one_sentence(write, text, overrides, message):
    with pytest.raises(UserError) as caught:
        load_recipe(write(text), overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    ['"2"', "'2'", "1:30", "010", "0x10", "0o10", "0b1", "1_000", "2.0", "1e3", "yes", "NaN", "inf", "~", "9" * 19],
)
def test_what_yaml_may_take_for_a_whole_number_is_none(write, value):
    for key, overrides in (
        ("training.num_train_epochs", [f"training.num_train_epochs={value}"]),
        ("training.seed", []),
    ):
        text = MINIMAL if overrides else f"{MINIMAL}training: {{seed: {value}}}\n"
        with pytest.raises(UserError, match=rf"{key} should be a whole number, in digits without quotes, not .+\.$"):
            load_recipe(write(text), overrides)


@pytest.mark.parametrize("value", ['"0.5"', "1:30.5", "010", "1_000.5", "0x1p3", "nan", "on", "1e", ".", "1.2.3"])
def test_what_yaml_may_take_for_a_number_is_none(write, value):
    with pytest.raises(UserError, match=r"training.learning_rate should be a number, in digits without quotes, not "):
        load_recipe(write(MINIMAL), [f"training.learning_rate={value}"])


@pytest.mark.parametrize("value", [".inf", "-.INF", ".nan", ".NaN", "1e400"])
def test_a_number_is_finite(write, value):
    with pytest.raises(UserError, match=r"training.learning_rate should be a finite number, not "):
        load_recipe(write(MINIMAL), [f"training.learning_rate={value}"])


@pytest.mark.parametrize("value", ["yes", "no", "on", "off", "y", "N", "Yes", "OFF", '"true"', "1", "0", "0.0", "null"])
def test_a_switch_is_true_or_false(write, value):
    with pytest.raises(UserError, match=r"data.stream should be true or false, without quotes, not "):
        load_recipe(write(MINIMAL), [f"data.stream={value}"])


@pytest.mark.parametrize(
    ("value", "number"), [("1e-3", 1e-3), ("1", 1.0), ("+.5", 0.5), ("2.", 2.0), ("1.0e-05", 1e-5), ("0", 0.0)]
)
def test_a_number_is_one_as_json_has_them(write, value, number):
    assert load_recipe(write(MINIMAL), [f"training.learning_rate={value}"]).training.learning_rate == number


@pytest.mark.parametrize("value", ["no", "1:30", "010", "2024-01-01", "1_000", "'7'", "1e", "=", "0x1F", "12:30:45"])
def test_what_is_no_number_is_text(write, value):
    assert load_recipe(write(MINIMAL), [f"data.cities=[{value}]"]).data.cities == (value.strip("'"),)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["training.num_train_epochs=2", "training.num_train_epochs=3"],
            "'training.num_train_epochs=3' would replace 'training.num_train_epochs=2', as both give training.num_train_epochs; leave one out.",
        ),
        (
            ["training.num_train_epochs=2", " training.num_train_epochs =2"],
            "as both give training.num_train_epochs; leave one out.",
        ),
        (
            ["training={num_train_epochs: 2}", "training.num_train_epochs=3"],
            "as both give training.num_train_epochs; leave one out.",
        ),
        (["launcher=torchrun", "launcher.kind=local"], "as both give launcher.kind; leave one out."),
        (["launcher=torchrun", "launcher=local"], "as both give launcher.kind; leave one out."),
        (
            ["training.num_train_epochs=2", "training={global_micro_batch_size: 4}"],
            "'training={global_micro_batch_size: 4}' would replace 'training.num_train_epochs=2'; give it first, or leave one out.",
        ),
        (["launcher.processes=2", "launcher=torchrun"], "would replace 'launcher.processes=2'; give it first"),
        (["model.lora.r=2", "model={base: x}"], "would replace 'model.lora.r=2'; give it first"),
        (["model.lora=null", "model.lora.r=2"], "would replace 'model.lora=null'"),
    ],
)
def test_a_setting_is_given_once(write, overrides, message):
    with pytest.raises(UserError) as caught:
        load_recipe(write(MINIMAL), overrides)
    assert message in str(caught.value)


def test_a_section_may_be_given_and_then_more_of_it(write):
    training = load_recipe(
        write(MINIMAL), ["training={global_micro_batch_size: 4}", "training.num_train_epochs=5"]
    ).training
    assert (training.global_micro_batch_size, training.num_train_epochs) == (4, 5)
    # One that is spelled out as null is like one that is left out.
    nothing = f"{MINIMAL}gate: {{feedback: null}}\n"
    assert load_recipe(write(nothing), ["gate.feedback.margin=0.1"]).gate.feedback.margin == 0.1


DEEP_BY_ALIASES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: *a{n - 1}}}\n" for n in range(1, 3000))


def bomb(line):
    """Nine lines of aliases, each of which stands for ten of the line before."""
    letters = "abcdefghi"
    lines = [line.format(name=to, ten=",".join([f"*{of}"] * 10)) for of, to in itertools.pairwise(letters)]
    return "\n".join(["a: &a {x: 1}", *lines, ""])


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (
            MINIMAL,
            [f"training.num_train_epochs={'[' * 3000}{']' * 3000}"],
            r"'training.num_train_epochs=.+nested more than 16 levels deep",
        ),
        (MINIMAL, ["training.num_train_epochs=" + "{a: " * 3000], "nested more than 16 levels deep"),
        (f"{'- ' * 3000}1", [], "nested more than 16 levels deep"),
        (MINIMAL, ["launcher=ray", f"launcher.resources{'.a' * 3000}=1"], r"launcher.resources.a should be a number"),
        (bomb("{name}: &{name} [{ten}]") + MINIMAL, [], "holds more than 10,000 values, aliases counted"),
        (bomb("{name}: &{name} {{<<: [{ten}]}}") + MINIMAL, [], "holds more than 10,000 values, aliases counted"),
        (DEEP_BY_ALIASES + MINIMAL, [], "nested more than 16 levels deep"),
        (MINIMAL, ["data.cities=&all [*all]"], r"\*all stands within what it stands for"),
        (
            f"{MINIMAL}training: {{<<: &all {{num_train_epochs: *all}}}}\n",
            [],
            r"\*all stands within what it stands for",
        ),
        (MINIMAL, ["training.num_train_epochs=!!int '1:30'"], "is a tag, which no setting needs"),
        (MINIMAL, ["data.cities=!!set {a, b}"], "is a tag, which no setting needs"),
        (
            MINIMAL,
            [f"training.num_train_epochs={'9' * 5000}"],
            r"training.num_train_epochs should be a whole number.+'9+\.\.\.9+'\.$",
        ),
        (f"{MINIMAL}1: 2\n", [], "a key is no text"),
        (f"{MINIMAL}null: 2\n", [], "a key is no text"),
        (f"{MINIMAL}? [a]\n: 2\n", [], "a key is no text"),
        (f"{MINIMAL}training: {{<<: {{num_train_epochs: 2}}, <<: {{num_train_epochs: 3}}}}\n", [], "<< stands twice"),
    ],
    ids=range(16),
)
def test_a_hostile_value_is_one_short_sentence(write, text, overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        load_recipe(write(text), overrides)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_an_alias_stands_for_what_it_names(write):
    text = f"{MINIMAL}data: {{cities: &cities [chicago]}}\ntraining: {{<<: &some {{num_train_epochs: 2}}, global_micro_batch_size: 4}}\n"
    assert load_recipe(write(text)).data.cities == ("chicago",)


@pytest.mark.parametrize("text", ["no", "1:30", "010", "1e5", "1e-3", "~", "2024-01-01", "0x1", ".nan", "<<", "a: b"])
def test_a_dumped_text_stays_one_to_every_reader(write, tmp_path, text):
    recipe = load_recipe(write(MINIMAL))
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"uri": text})})
    path = tmp_path / "dump.yaml"
    path.write_text(recipe.dump())
    assert load_recipe(path) == recipe
    assert yaml.safe_load(recipe.dump())["data"]["uri"] == text


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"No recipe at .*gone.yaml"):
        load_recipe(tmp_path / "gone.yaml")


def test_a_recipe_without_a_dataset_says_what_to_add(write):
    with pytest.raises(UserError, match=r"add data\.uri="):
        load_recipe(write(MINIMAL)).data.version_uri()


def test_feedback_without_a_dataset_says_what_to_add(write):
    feedback = load_recipe(write(MINIMAL), ["data.feedback.share=0.1"]).data.feedback
    with pytest.raises(UserError, match=r"add data\.feedback\.uri="):
        feedback.version_uri()


def test_a_version_is_found_under_the_datasets_root(write):
    data = load_recipe(write(MINIMAL), ["data.uri=s3://bucket/datasets/", "data.version=d1"]).data
    assert data.version_uri() == "s3://bucket/datasets/d1"


def test_a_launchers_kind_is_short_for_it(write):
    recipe = load_recipe(write(MINIMAL + "launcher: ray\n"), ["launcher.processes=4", "launcher.resources={GPU: 1}"])
    launcher = recipe.launcher
    assert (launcher.kind, launcher.processes, launcher.resources) == ("ray", 4, {"GPU": 1.0})
    assert recipe.share_of_batch(launcher.processes) == 4
    assert load_recipe(write(MINIMAL), ["launcher=torchrun"]).launcher.kind == "torchrun"


def test_the_dump_reads_back_the_same(write, tmp_path):
    recipe = load_recipe(write(MINIMAL))
    path = tmp_path / "dump.yaml"
    path.write_text(recipe.dump())
    assert load_recipe(path) == recipe


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_shipped_recipes_are_valid_with_their_commands(path):
    load_recipe(path)
    head = path.read_text().split("\nmodel:")[0]
    assert f"snap2caption train --config {path.stem} " in head


def test_the_command_line_loads_nothing_heavy():
    heavy = "{'torch', 'transformers', 'peft', 'mlflow', 'boto3', 'pandas', 'matplotlib', 'pycocoevalcap'}"
    code = f"import sys, training.cli, training.recipes.loading; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_a_mapping_may_take_from_another_one_and_say_otherwise(write):
    text = (
        MINIMAL
        + "training: &usual {num_train_epochs: 2, global_micro_batch_size: 4}\nlauncher: {<<: {kind: torchrun, processes: 4}, processes: 2}\n"
    )
    assert load_recipe(write(text)).launcher.processes == 2


def test_what_is_no_text_is_one_sentence(tmp_path):
    (tmp_path / "recipe.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not valid YAML"):
        load_recipe(tmp_path / "recipe.yaml")


def test_how_a_model_is_judged_may_change_once_it_is_trained():
    judging = change_judging(
        EvaluationRecipe(), ["gate.margin=0.02", "gate.feedback.margin=0.5", "evaluation.max_samples=9"]
    )
    assert (judging.gate.margin, judging.gate.feedback.margin, judging.evaluation.max_samples) == (0.02, 0.5, 9)
    assert judging.gate.confidence == EvaluationRecipe().gate.confidence


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("training.num_train_epochs=2", r"'training.num_train_epochs=2' changes the training, which is over; give settings of evaluation or gate"),
        ("optimiser.epochs=2", "'optimiser.epochs=2' changes the training"),
        ("model.base=other", "changes the training"),
        ("gate.margn=0.02", r"gate.margn is not a setting; did you mean margin\?"),
        ("gat.margin=0.02", "gat is not a setting"),
        ("gate.margin=-1", "gate.margin should be greater than or equal to 0"),
        ("gate.confidence=sure", "gate.confidence should be a number"),
        ("gate.margin", "is not an override"),
        ("gate.margin.high=1", "does not name a setting"),
        ("gate=1", "gate "),
    ],
)  # fmt: skip
def test_an_override_of_the_gate_that_is_none_is_one_sentence(override, reason):
    with pytest.raises(UserError, match=reason) as caught:
        change_judging(EvaluationRecipe(), [override])
    assert "\n" not in str(caught.value)
