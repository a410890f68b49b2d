import pytest
import torch
from tiny import BASE, LANGUAGE_LAYERS

from snap2caption.vlm import load, quieten_peft


@pytest.fixture(scope="module")
def adapter(models_dir, tmp_path_factory):
    """An adapter that changes what the model writes."""
    from peft import LoraConfig, get_peft_model

    quieten_peft()
    torch.manual_seed(1)
    vlm = load(BASE, models_dir)
    config = LoraConfig(r=4, target_modules=LANGUAGE_LAYERS, init_lora_weights=False, task_type="CAUSAL_LM")
    folder = tmp_path_factory.mktemp("adapter")
    get_peft_model(vlm.model, config).save_pretrained(folder)
    return folder


@pytest.fixture
def vlm(models_dir, adapter):
    return load(BASE, models_dir, adapter=adapter)
