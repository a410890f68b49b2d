import dataclasses
from collections import Counter

import pytest

from snap2caption.errors import UserError
from snap2caption.post import Post, Tone
from training.data.samples import (
    WITHOUT_TONE,
    CachedDataset,
    SplitSelection,
    chunks,
    evaluation_prompt,
    mix,
    training_prompt,
)

pytestmark = pytest.mark.unit


def test_samples_come_whole_and_in_order(dataset):
    samples = dataset.samples("train")
    assert [sample.id for sample in samples] == [f"train-000000-{index}" for index in range(48)]
    assert samples[0].city == "chicago"
    assert samples[0].post.hashtags == ("chicago", "citylife", "street", "photo", "walk")
    assert samples[0].photo()[:2] == b"\xff\xd8"


def test_samples_are_chosen_by_city(dataset):
    samples = dataset.samples("train", ["newyork", "chicago"], per_city=5)
    assert sorted(sample.city for sample in samples) == ["chicago"] * 5 + ["newyork"] * 5
    assert SplitSelection("train", ["newyork", "chicago"], 5).quotas(dataset.manifest) == {"chicago": 5, "newyork": 5}
    assert sum(SplitSelection("train").quotas(dataset.manifest).values()) == 48


def test_an_unknown_city_is_named(dataset):
    with pytest.raises(UserError, match="no city 'paris'; it has chicago, newyork, sanfrancisco"):
        dataset.samples("train", ["paris"])


def test_a_damaged_shard_is_named_and_not_kept(dataset_dir, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in dataset_dir.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    shard = folder / "train-000000.tar"
    data = bytearray(shard.read_bytes())
    data[1500] ^= 1
    shard.write_bytes(data)
    damaged = CachedDataset.open(folder.as_uri(), tmp_path / "cache")
    with pytest.raises(UserError, match=r"train-000000.tar of .* is damaged"):
        damaged.samples("train")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_cache_is_fetched_again(dataset):
    before = dataset.samples("test")
    before[0].content.file.write_bytes(b"rubbish")
    assert dataset.samples("test") == before


def test_a_missing_dataset_is_one_sentence(tmp_path):
    with pytest.raises(UserError):
        CachedDataset.open((tmp_path / "nothing").as_uri(), tmp_path / "cache")


def test_prompts_name_the_tone_of_the_caption(dataset):
    sample = dataclasses.replace(dataset.samples("test")[0], post=Post("Yes, what a day in the city this is! 🎉🥳"))
    assert f"Tone: {Tone.PLAYFUL.value}." in evaluation_prompt(sample)


def test_a_share_of_the_training_prompts_names_none(dataset):
    sample = dataset.samples("test")[0]
    samples = [dataclasses.replace(sample, id=str(number)) for number in range(1000)]
    without = [sample for sample in samples if "Tone:" not in training_prompt(sample, 0)]
    assert abs(len(without) / 1000 - WITHOUT_TONE) < 0.05
    assert all("Tone:" not in training_prompt(sample, 0) for sample in without)
    assert any("Tone:" in training_prompt(sample, 1) for sample in without)


def test_a_share_of_the_prompts_names_other_wishes(dataset):
    post = Post("Two words 🎉")
    samples = [dataclasses.replace(sample, post=post) for sample in dataset.samples("train")]
    lines = Counter(line for sample in samples for line in training_prompt(sample, 0).splitlines()[1:])
    wishes = {line.split(":")[0]: count for line, count in lines.items()}
    assert {line for line in lines if not line.startswith("Place:")} == {
        "Tone: minimal.",
        "Length: short, at most 12 words.",
        "Emoji: some.",
    }
    assert all(0 < wishes[wish] < len(samples) / 2 for wish in ("Length", "Emoji", "Place"))


def test_chunks_hold_everything_once():
    assert [list(chunk) for chunk in chunks([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]


@pytest.mark.parametrize(("share", "expected"), [(0.2, 12), (0.5, 48), (0.01, 0), (0.6, 72)])
def test_feedback_is_mixed_in_by_its_share_each_equally_often(dataset, share, expected):
    corpus, feedback = dataset.samples("train"), dataset.samples("test")[:7]
    mixed = mix(corpus, feedback, share, seed=0)
    assert mixed[:48] == corpus
    counts = Counter(sample.id for sample in mixed[48:])
    assert sum(counts.values()) == expected
    assert not counts or max(counts.values()) - min(counts[sample.id] for sample in feedback) <= 1
    assert mix(corpus, feedback, share, seed=0) == mixed
