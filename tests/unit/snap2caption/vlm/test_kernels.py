"""Linear kernels: what each format keeps of a product."""

import pytest
import torch

from snap2caption.vlm.kernels import best_format, has_bfloat16, has_fbgemm, pack

pytestmark = pytest.mark.unit

ERRORS = {"plain": 1e-6, "float32": 1e-6, "float16": 5e-4, "bfloat16": 1e-2, "int8": 2e-2}
"""The largest error of each format, as a share of the output."""


def available(form: str) -> bool:
    return {"float16": has_fbgemm, "bfloat16": has_bfloat16}.get(form, lambda: True)()


@pytest.mark.parametrize("form", [form for form in ERRORS if available(form)])
@pytest.mark.parametrize("rows", [1, 2, 31])
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])
def test_a_product_is_as_near_as_its_format(form: str, rows: int, biased: bool) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(rows, 96), torch.randn(200, 96)
    bias = 5 * torch.randn(200) if biased else None
    expected = torch.nn.functional.linear(x, weight, bias)
    output = pack(weight, bias, form)(x.to(torch.bfloat16 if form == "bfloat16" else torch.float32))
    assert (output.float() - expected).norm() < ERRORS[form] * expected.norm()


@pytest.mark.parametrize("form", ["float16", "int8"])
def test_rows_do_not_depend_on_each_other(form: str) -> None:
    torch.manual_seed(0)
    kernel = pack(torch.randn(40, 64), None, form)
    x = torch.randn(3, 64)
    louder = torch.cat([x[:1], 1000 * x[1:]])
    assert torch.equal(kernel(x)[:1], kernel(louder)[:1])


@pytest.mark.skipif(not has_fbgemm(), reason="FBGEMM is for x86-64 with AVX2")
def test_float16_keeps_weights_beyond_its_range() -> None:
    weight = torch.tensor([[1e6, 1.0]])
    assert float(pack(weight, None, "float16")(torch.ones(1, 2))) == 1_000_001


def test_double_precision_stays_whole() -> None:
    assert best_format(torch.float64) == "plain"
