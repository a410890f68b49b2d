"""CPU kernels of training: losses and gradients are those of PEFT's layers under autocast, in less time."""

import pytest
import torch
from families import FAMILIES
from torch import nn
from torch.nn import functional

from snap2caption.vlm import load
from snap2caption.vlm.kernels import has_bfloat16
from training.data.collator import SampleCollator
from training.data.samples import evaluation_prompt
from training.fit import cpu_kernels
from training.fit.lora import add_adapter
from training.fit.loss import answer_loss

pytestmark = [
    pytest.mark.unit,
    pytest.mark.filterwarnings("ignore:.*invalid escape sequence:DeprecationWarning"),
    pytest.mark.skipif(torch.cuda.is_available(), reason="they are for CPUs"),
]

IN_BFLOAT16 = pytest.param(
    "bfloat16", marks=pytest.mark.skipif(not has_bfloat16(), reason="the processor does not compute in bfloat16")
)


def with_an_adapter(family, families_dir, recipe, precision="float32", *, fast, dropout=0.0, targets=None):
    """Return a model with an adapter that changes something, and the same one each time."""
    settings = recipe.model.lora.model_copy(
        update={"target_modules": targets or family.language, "lora_dropout": dropout}
    )
    vlm = load(family.name, families_dir, dtype=precision)
    torch.manual_seed(3)
    vlm.model = add_adapter(vlm.model, settings).train()
    for name, weight in vlm.model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight, std=0.1)
    if fast:
        cpu_kernels.use(vlm.model)
    return vlm


def gradients(vlm, batch, precision="float32"):
    """Return the loss, and the adapter's gradients as one vector."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        loss, tokens = answer_loss(vlm.model, batch)
    (loss / tokens).backward()
    grown = [weight.grad.flatten() for weight in vlm.model.parameters() if weight.requires_grad]
    return loss.item() / tokens, torch.cat(grown)


def distance(one, other):
    return float((one - other).norm() / other.norm())


@pytest.fixture
def batch_for(dataset):
    return lambda vlm: SampleCollator(vlm, evaluation_prompt)(dataset.samples("test")[:3])


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_in_float32_the_gradients_are_the_same(family, families_dir, recipe, batch_for):
    plain, fast = (with_an_adapter(family, families_dir, recipe, fast=fast) for fast in (False, True))
    (loss, grown), (fast_loss, fast_grown) = (gradients(vlm, batch_for(vlm)) for vlm in (plain, fast))
    assert any(isinstance(module, cpu_kernels.FusedLoraLinear) for module in fast.model.modules())
    assert fast_loss == pytest.approx(loss, rel=1e-5)
    assert distance(fast_grown, grown) < 1e-4


@pytest.mark.parametrize("precision", [IN_BFLOAT16])
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_in_bfloat16_they_are_as_near_as_autocasts(family, precision, families_dir, recipe, batch_for):
    whole = with_an_adapter(family, families_dir, recipe, fast=False)
    loss, grown = gradients(whole, batch_for(whole))
    errors = {}
    for fast in (False, True):
        vlm = with_an_adapter(family, families_dir, recipe, precision, fast=fast)
        half_loss, half_grown = gradients(vlm, batch_for(vlm), precision)
        assert half_loss == pytest.approx(loss, rel=0.01)
        errors[fast] = distance(half_grown, grown)
    # Attention rounds its scores, which the fused one keeps in 32 bits.
    assert errors[True] < 1.5 * errors[False]


@pytest.mark.parametrize("targets", [r".*layers\.1\..*q_proj", r".*layers\.0\..*(v_proj|down_proj)"])
def test_layers_without_an_adapter_pass_gradients_on(targets, families_dir, recipe, batch_for):
    family = FAMILIES["tiny-llava-1.6"]
    both = [
        with_an_adapter(family, families_dir, recipe, fast=fast, targets=f".*language_model{targets}")
        for fast in (False, True)
    ]
    (loss, grown), (fast_loss, fast_grown) = (gradients(vlm, batch_for(vlm)) for vlm in both)
    assert fast_loss == pytest.approx(loss, rel=1e-5)
    assert distance(fast_grown, grown) < 1e-4


def test_dropout_is_pefts(families_dir, recipe, batch_for):
    both = [
        with_an_adapter(FAMILIES["tiny-llava-1.5"], families_dir, recipe, fast=fast, dropout=0.5)
        for fast in (False, True)
    ]
    found = []
    for vlm in both:
        torch.manual_seed(5)
        found.append(gradients(vlm, batch_for(vlm)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert distance(found[1][1], found[0][1]) < 1e-4


def test_an_adapter_is_saved_and_loaded_as_before(families_dir, recipe, batch_for, tmp_path):
    family = FAMILIES["tiny-smolvlm"]
    vlm = with_an_adapter(family, families_dir, recipe, fast=True)
    vlm.model.eval()
    vlm.save_adapter(tmp_path)
    again = load(family.name, families_dir, adapter=tmp_path)
    batch = batch_for(vlm)
    assert answer_loss(again.model, batch)[0].item() == pytest.approx(answer_loss(vlm.model, batch)[0].item(), rel=1e-5)


@pytest.mark.parametrize("masked", [False, True], ids=["causal", "masked"])
def test_attention_is_that_of_torch(masked):
    torch.manual_seed(0)
    query = torch.randn(2, 6, 9, 8, dtype=torch.float64, requires_grad=True)
    key, value = (torch.randn(2, 3, 9, 8, dtype=torch.float64, requires_grad=True) for _ in range(2))
    mask = torch.ones(2, 1, 9, 9, dtype=torch.bool).tril()
    if masked:
        mask[1, :, 1:, :1] = False
    expected = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
    attended, _ = cpu_kernels._attend(None, query, key, value, mask if masked else None)
    torch.testing.assert_close(attended, expected.transpose(1, 2))
    weights = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * weights).sum(), (query, key, value))
    found = torch.autograd.grad((attended * weights.transpose(1, 2)).sum(), (query, key, value))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)
