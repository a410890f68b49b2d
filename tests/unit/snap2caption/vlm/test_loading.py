"""Loading of weights, configurations and processors, wherever the project does it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny import BASE, write_models

from snap2caption.errors import UserError
from snap2caption.registry.adapters import check_weights
from snap2caption.vlm import load, load_processor

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[4]
FOLDERS = ("snap2caption", "etl", "training", "serving", "demo", "plugins", "dags", "benchmarks")
LOADERS = {"from_pretrained", "from_config", "snapshot_download", "hf_hub_download", "load_adapter"}
PICKLES = {("torch", "load"), ("pickle", "load"), ("pickle", "loads"), ("joblib", "load"), ("cloudpickle", "load")}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    yield str(path.relative_to(ROOT)), node


def test_no_call_runs_a_model_s_code_or_reads_a_pickle() -> None:
    found = set()
    for file, call in calls():
        assert isinstance(call.func, ast.Attribute)
        owner, method = ast.unparse(call.func.value), call.func.attr
        where = f"{file}:{call.lineno}: {owner}.{method}"
        assert (owner, method) not in PICKLES, where
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert given.get("trust_remote_code", "False") == "False", where
        if method not in LOADERS:
            continue
        found.add((owner, method))
        if owner.startswith("Auto"):
            assert given["trust_remote_code"] == "False", where
        if method == "from_pretrained" and owner.startswith("AutoModel"):
            assert given["use_safetensors"] == "True", where
        if method == "from_pretrained" and owner.startswith("Auto"):
            assert any(pinned in ast.unparse(call) for pinned in ("**options", "**hub_options(")), where
    # What is looked for is there: these and no others.
    assert found == {
        ("AutoModelForImageTextToText", "from_pretrained"),
        ("AutoModelForImageTextToText", "from_config"),
        ("AutoProcessor", "from_pretrained"),
        ("AutoConfig", "from_pretrained"),
        # The curation's image embeddings, from the models folder alone.
        ("AutoModel", "from_pretrained"),
        ("AutoImageProcessor", "from_pretrained"),
        ("PeftModel", "from_pretrained"),
        ("vlm.model", "load_adapter"),
        # The benchmark's conversion of a model of ours, in OpenVINO's environment.
        ("OVModelForVisualCausalLM", "from_pretrained"),
        # Has a model server load one, after `check_weights`.
        ("engine", "load_adapter"),
        # Alembic's migrations, which are ours.
        ("ScriptDirectory", "from_config"),
    }


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_models(tmp_path)
    return tmp_path


def test_a_pickled_base_is_not_loaded(models: Path) -> None:
    import torch
    from safetensors.torch import load_file

    weights = models / BASE / "model.safetensors"
    torch.save(load_file(weights), models / BASE / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UserError, match="safetensors"):
        load(BASE, models)


def test_a_pickled_adapter_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"a pickle")
    with pytest.raises(UserError, match=r"it has no adapter_model.safetensors"):
        check_weights(tmp_path)


def test_a_base_with_code_of_its_own_runs_none(models: Path) -> None:
    ran = models / "ran"
    (models / BASE / "own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\n")
    for name in ("config.json", "processor_config.json"):
        file = models / BASE / name
        kinds = '"AutoConfig": "own.Own", "AutoModelForImageTextToText": "own.Own", "AutoProcessor": "own.Own"'
        file.write_text(file.read_text().replace("{", f'{{"auto_map": {{{kinds}}},', 1))
    load(BASE, models)
    load_processor(BASE, models, revision="main")
    assert not ran.exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "no configuration", "other shapes"])
def test_a_damaged_adapter_is_one_sentence(models_dir, adapter, tmp_path, damage):
    for file in adapter.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights, configuration = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "empty":
        weights.write_bytes(b"")
    elif damage == "gone":
        weights.unlink()
    elif damage == "no configuration":
        configuration.unlink()
    else:
        configuration.write_text(configuration.read_text().replace('"r": 4', '"r": 8'))
    with pytest.raises(UserError, match="does not fit the base model or is damaged"):
        load(BASE, models_dir, adapter=tmp_path)
