import pytest
from tiny import BASE

from snap2caption.images import decode
from snap2caption.vlm import find_revision
from training.data.samples import evaluation_prompt
from training.evaluation.candidates import EvaluatedModel
from training.fit.lora import add_adapter
from training.gate.side_by_side import ModelWriter, load_both

pytestmark = pytest.mark.unit


@pytest.fixture
def adapted(load_tiny, recipe):
    vlm = load_tiny()
    vlm.model = add_adapter(vlm.model, recipe.model.lora)
    vlm.model.eval()
    return vlm


@pytest.fixture
def task(dataset):
    sample = dataset.samples("test")[0]
    return sample, evaluation_prompt(sample)


def test_it_writes_as_many_tokens_as_told(adapted, task, monkeypatch):
    sample, prompt = task
    # A model that is through after one token, were it asked for a caption.
    eos = adapted.model.generation_config.eos_token_id
    monkeypatch.setattr(
        adapted.model.get_base_model().lm_head,
        "forward",
        lambda hidden: hidden.new_zeros(*hidden.shape[:-1], adapted.model.config.text_config.vocab_size).index_fill(
            -1, hidden.new_tensor([eos]).long(), 9.0
        ),
    )
    for tokens in (1, 7, 32):
        on_token = []
        ModelWriter(adapted, "default").write(
            decode(sample.photo()), prompt, tokens, lambda on_token=on_token: on_token.append(1)
        )
        assert len(on_token) == tokens


def test_an_untouched_base_is_timed_with_the_candidates_adapter(adapted, models_dir, monkeypatch):
    monkeypatch.setattr(EvaluatedModel, "load", lambda *_: adapted)
    revision = find_revision(BASE, models_dir)
    candidate, base = EvaluatedModel(BASE, revision, "run"), EvaluatedModel(BASE, revision)
    mine, theirs = load_both(candidate, base, models_dir, "float32")
    assert mine == ModelWriter(adapted, "default")
    assert (theirs.vlm.model, theirs.adapter) == (adapted.model, "default")
    # But it prepares photos its own way.
    assert theirs.vlm.processor is not adapted.processor
