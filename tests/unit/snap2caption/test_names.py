"""Path traversal: names in manifests, verdicts, cards, sidecars, records and registry tags stay in their folder."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny import write_dataset

from etl.export import export
from etl.feedback.ledger import FeedbackBatch, FeedbackVersion, ReviewCandidate, StartedRetraining
from etl.feedback.records import annotation_keys, erased, record_keys
from etl.feedback.withdrawal.withdraw import withdraw
from etl.load import load
from etl.transform.writing.tables import find_assignments
from etl.transform.writing.versions import FolderSlot
from serving.captioning.hashtag_tables import HashtagTables
from serving.feedback.store.repository import list_ids
from serving.models.adapter_cache import AdapterCache
from snap2caption import feedback
from snap2caption.datasets.manifest import NAME, File, Manifest
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.names import is_base_name, is_file_name
from snap2caption.registry.client import Registry
from snap2caption.registry.model_card import NO_CARD, read_card
from snap2caption.registry.verdict import GateVerdict, RuleResult
from snap2caption.registry.versions import ModelVersion, read_version
from snap2caption.store import StoreError, open_store
from snap2caption.vlm import resolve_base
from training.fit.checkpoints import Checkpoints
from training.recipes.sections import DataSettings, LoraSettings, ModelSettings

pytestmark = pytest.mark.unit

DIGEST = "0123456789abcdef" * 4
ID = DIGEST[:32]
RECORD = f"records/2026-11-28/{ID}.json"
TAGS = {"base": "demo-base", "base_revision": DIGEST[:12], "dataset_version": DIGEST[:12], "dataset_uri": "file:///d"}
NOW = datetime(2026, 11, 28, tzinfo=UTC)

ESCAPES = (
    "", ".", "..", "../victim", "../../home/victim", "/etc/victim", "a/../../victim", "..\\victim", "C:\\victim", "C:victim",
    "\\\\host\\share", "~", "~/victim", "a\0b", "victim\0.tar", "victim\n", "\nvictim", "vic\ttim", "\x7f", "a" * 300, "a/" * 2000,
    "CON", "nul.tar", "Aux", "com1.tar", "victim.", "victim ", " victim", "-rf", "--force", ".hidden", "e\u0301", "\u00e9", "\u202evictim",
    "\u2025/victim", "\uff0e\uff0e/victim", "a//b", "a/", "%2e%2e%2fvictim", "file:///victim", "s3://bucket/victim", "$HOME", "*", "a;b",
)  # fmt: skip
"""Each leads somewhere else on some system, hides, is an option to a program, or is one name with two spellings."""

HOSTILE = st.one_of(
    st.sampled_from(ESCAPES),
    st.lists(st.sampled_from(["..", ".", "/", "\\", "\0", "\n", "victim", "e\u0301", "nul", DIGEST, "~", " "]), max_size=8).map("".join),
    st.text(max_size=40),
)  # fmt: skip


def version(**changed: Any) -> ModelVersion:
    return ModelVersion(**{"version": 1, "run_id": "r1", **TAGS, **changed})


def registered(**changed: Any) -> ModelVersion:
    """Return a version as it is read from the registry's answer."""
    tags = {name: changed.pop(name, value) for name, value in TAGS.items()}
    return read_version(SimpleNamespace(**{"version": "1", "run_id": "r1", "tags": tags, **changed}))


def of_feedback(**changed: Any) -> feedback.Feedback:
    given = {"id": ID, "creator": DIGEST, "received": NOW, "photo": DIGEST, **changed}
    return feedback.Feedback.model_validate_json(json.dumps(given, default=datetime.isoformat))


MANIFEST = {
    "version": DIGEST[:16],
    "source": {"urls": [], "sha256": DIGEST},
    "settings": {},
    "dropped": {},
    "splits": {"train": {"samples": 1, "cities": {}, "shards": [{"name": "a.tar", "sha256": DIGEST, "samples": 1, "bytes": 1}]}},
    "hashtags": {"name": "hashtags.parquet", "sha256": DIGEST, "bytes": 1},
    "feedback": {"corpus": DIGEST[:16], "samples": {ID: {"annotations": [{"annotation": 1, "annotator": "1"}]}}},
}  # fmt: skip


def manifest(*place: str | int) -> Callable[[str], Manifest]:
    """Return what reads a manifest with a text at *place*; the last part "key" stands for the name of the first
    entry.
    """

    def read(text: str) -> Manifest:
        changed = json.loads(json.dumps(MANIFEST))
        *way, last = place
        inner = changed
        for part in way:
            inner = inner[part]
        if last == "key":
            inner[text] = inner.pop(next(iter(inner)))
        else:
            inner[last] = text
        return Manifest.parse(json.dumps(changed).encode(), "somewhere")

    return read


SHARD = ("splits", "train", "shards", 0)
RULE = RuleResult(name="loss", passed=True, candidate=1, incumbent=2, reason="It is lower.")
READERS: dict[str, Callable[[str], Any]] = {
    "manifest's version": manifest("version"),
    "manifest's source": manifest("source", "sha256"),
    "shard's name": manifest(*SHARD, "name"),
    "shard's digest": manifest(*SHARD, "sha256"),
    "file's name": manifest("hashtags", "name"),
    "file's digest": manifest("hashtags", "sha256"),
    "corpus of feedback": manifest("feedback", "corpus"),
    "feedback of a sample": manifest("feedback", "samples", "key"),
    "annotator of a sample": manifest("feedback", "samples", ID, "annotations", 0, "annotator"),
    "verdict's run": lambda text: GateVerdict(run_id=text, dataset_version="d1", incumbent="base", rules=(RULE,)),
    "verdict's dataset": lambda text: GateVerdict(run_id="r1", dataset_version=text, incumbent="base", rules=(RULE,)),
    "registered run": lambda text: registered(run_id=text),
    "registered base": lambda text: registered(base=text),
    "registered revision": lambda text: registered(base_revision=text),
    "registered dataset": lambda text: registered(dataset_version=text),
    "batch's record": lambda text: FeedbackBatch.model_validate({"records": [text]}),
    "chosen record": lambda text: ReviewCandidate.model_validate({"record": text, "kind": "edited", "twin": DIGEST}),
    "chosen twin": lambda text: ReviewCandidate.model_validate({"record": RECORD, "kind": "edited", "twin": text}),
    "version of feedback": lambda text: FeedbackVersion(version=text, uri="file:///d"),
    "retraining's version": lambda text: StartedRetraining(version=text, uri="file:///d", started=NOW),
    "feedback's id": lambda text: of_feedback(id=text),
    "feedback's photo": lambda text: of_feedback(photo=text),
    "pointer's record": lambda text: feedback.Pointer(record=text, photo=DIGEST, received=NOW),
    "pointer's photo": lambda text: feedback.Pointer(record=RECORD, photo=text, received=NOW),
    "erasure's id": lambda text: feedback.Erasure(id=text, erased=NOW, owner=DIGEST),
    "annotation's feedback": lambda text: feedback.Annotation(
        id=1, feedback=text, annotator="1", completed=NOW, words=feedback.Words(caption="a")
    ),
    "annotation's annotator": lambda text: feedback.Annotation(
        id=1, feedback=ID, annotator=text, completed=NOW, words=feedback.Words(caption="a")
    ),
    "photo's key": feedback.photo_key,
    "uses' key": feedback.uses_prefix,
    "use's feedback": lambda text: feedback.use_key(DIGEST, text),
    "pointers' creator": feedback.pointers_prefix,
    "pointer's feedback": lambda text: feedback.pointer_key(DIGEST, text),
    "annotations' feedback": lambda text: feedback.annotations_prefix(text),
    "erasure's key": feedback.erasure_key,
    "recipe's base": lambda text: ModelSettings(base=text, lora=LoraSettings(targets="a")),
    "recipe's version": lambda text: DataSettings(version=text),
    "a base's folder": lambda text: resolve_base(text, Path("/nowhere")),
}  # fmt: skip


def is_harmless(text: str) -> bool:
    """Whether *text* can be joined to a folder: an own, plain reading of what the project's patterns are to hold."""
    parts = text.split("/")
    return (
        text.isascii()
        and text.isprintable()
        and len(text) < 260
        and "\\" not in text
        and all(part and part[0] not in ".-~ " and part[-1] not in ". " for part in parts)
        and not any(part.split(".")[0].lower() in {"con", "nul", "aux", "prn", "com1"} for part in parts)
    )


@pytest.mark.parametrize("what", READERS)
def test_a_name_that_leads_elsewhere_is_refused(what: str) -> None:
    for text in ESCAPES:
        with pytest.raises((UserError, ValueError)):
            READERS[what](text)


@settings(max_examples=300, deadline=None)
@given(what=st.sampled_from(sorted(READERS)), text=HOSTILE)
@example(what="shard's digest", text=f"{DIGEST}\n")
@example(what="feedback's id", text=f"{ID}\n")
def test_what_is_taken_for_a_name_stays_in_its_folder(what: str, text: str) -> None:
    try:
        READERS[what](text)
    except (UserError, ValueError):
        return
    assert is_harmless(text)


@pytest.mark.parametrize(
    "name", ["demo-base", "llava-hf/llava-1.5-7b-hf", "HuggingFaceTB/SmolVLM-256M-Instruct", "a.b_c"]
)
def test_honest_names_are_taken(name: str) -> None:
    assert is_base_name(name)
    assert is_file_name(name.rpartition("/")[2])
    assert registered(base=name).base == name


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest") / "d00000000000"
    write_dataset(folder, {"train": 3, "validation": 3, "test": 3})
    return folder


class World:
    """A folder in which everything may happen, and one beside it that must stay as it is."""

    def __init__(self, folder: Path, honest: Path) -> None:
        self.inside = folder / "a" / "b" / "inside"
        self.inside.mkdir(parents=True)
        self.folder = folder
        self.version = self.inside / "versions" / honest.name
        self.version.mkdir(parents=True)
        for file in honest.iterdir():
            (self.version / file.name).write_bytes(file.read_bytes())
        for victim in (
            "victim",
            "victim.partial",
            "victim.tar",
            "home/victim",
            "home/victim.partial",
            "home/victim.tar",
        ):
            for place in (folder, folder / "a", folder / "a" / "b"):
                (place / victim).parent.mkdir(exist_ok=True)
                (place / victim).write_text("precious")
        self.before = dict(self.outside())

    def outside(self) -> Iterator[tuple[str, bytes]]:
        """Yield what is beside the folder."""
        for path in sorted(self.folder.rglob("*")):
            if self.inside not in (path, *path.parents) and path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes()

    def change(self, **shard: str) -> None:
        """Have the manifest say something else of its first shard."""
        content = json.loads((self.version / NAME).read_bytes())
        content["splits"]["train"]["shards"][0] |= shard
        (self.version / NAME).write_text(json.dumps(content))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=HOSTILE, digest=HOSTILE)
@example(name="x", digest="../../home/victim")
@example(name="x.tar", digest="../../home/victim")
@example(name="../../home/victim.tar", digest=DIGEST)
def test_a_hostile_manifest_changes_nothing_outside(
    tmp_path_factory: pytest.TempPathFactory, honest: Path, name: str, digest: str
) -> None:
    world = World(tmp_path_factory.mktemp("world"), honest)
    for shard in ({"name": name}, {"sha256": digest}, {"name": name, "sha256": digest}):
        world.change(**shard)
        for act in (
            lambda: [DatasetVersion.open(str(world.version)).fetch(f, world.inside / "c" / "s") for f in files(world)],
            lambda: [DatasetVersion.open(str(world.version)).drop(f, world.inside / "c" / "s") for f in files(world)],
            lambda: load(world.version, (world.inside / "store").as_uri()),
            lambda: export(world.version.as_uri(), (world.inside / "export").as_uri()),
            lambda: find_assignments(world.version),
        ):
            try:
                act()
            except UserError:
                continue
        assert dict(world.outside()) == world.before


def files(world: World) -> list[File]:
    return DatasetVersion.open(str(world.version)).manifest.files()


def test_a_link_that_leads_out_of_a_version_is_not_followed(tmp_path: Path, honest: Path) -> None:
    world = World(tmp_path, honest)
    shard = world.version / "train-000000.tar"
    content = shard.read_bytes()
    shard.unlink()
    # The very bytes, so that nothing but the link is wrong.
    (tmp_path / "secret").write_bytes(content)
    shard.symlink_to(tmp_path / "secret")
    dataset = DatasetVersion.open(str(world.version))
    for act in (
        lambda: dataset.fetch(dataset.manifest.splits["train"].shards[0], world.inside / "cache"),
        lambda: load(world.version, (world.inside / "store").as_uri()),
        lambda: export(world.version.as_uri(), (world.inside / "export").as_uri()),
    ):
        with pytest.raises(UserError, match="leads out of"):
            act()
    # One that stays inside is the operator's own business.
    shard.unlink()
    (world.version / "elsewhere").write_bytes(content)
    shard.symlink_to(world.version / "elsewhere")
    assert dataset.fetch(dataset.manifest.splits["train"].shards[0], world.inside / "cache").read_bytes() == content


def test_a_half_copy_that_is_a_link_is_not_written_through(tmp_path: Path, honest: Path) -> None:
    world = World(tmp_path, honest)
    dataset, cache = DatasetVersion.open(str(world.version)), world.inside / "cache"
    shard = dataset.manifest.splits["train"].shards[0]
    cache.mkdir()
    (cache / f"{shard.sha256}.partial").symlink_to(tmp_path / "victim")
    dataset.fetch(shard, cache)
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("key", ["../victim", "a/../../victim", "/etc/victim", "a/./b", "..", "a\nb", "a\0b"])
@pytest.mark.parametrize("kind", ["file:///{}/store", "s3://bucket/prefix", "swift://container/prefix"])
def test_a_key_that_leads_out_of_a_store_is_refused(tmp_path: Path, key: str, kind: str) -> None:
    store = open_store(kind.format(str(tmp_path).lstrip("/")))
    for act in (
        lambda: store.put(key, b"", sha256="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        lambda: store.get(key).__enter__(),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(StoreError, match="is not the key of an object"):
            act()
    assert not list(tmp_path.iterdir())


def test_a_folder_of_links_is_no_way_out_of_a_store(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "store"
    outside.mkdir()
    (outside / "victim").write_text("precious")
    root.mkdir()
    (root / "way").symlink_to(outside)
    (root / "file").symlink_to(outside / "victim")
    store = open_store(root.as_uri())
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for act in (
        lambda: store.put("way/new", b"", sha256=empty),
        lambda: store.get("way/victim").__enter__(),
        lambda: store.get("file").__enter__(),
        lambda: store.delete("way/victim"),
        lambda: list(store.list("way/")),
    ):
        with pytest.raises(StoreError, match="leads out of"):
            act()
    # The link itself is inside.
    store.put("file", b"", sha256=empty)
    (root / "loop").symlink_to(root / "loop")
    for act in (lambda: store.get("loop").__enter__(), lambda: store.exists("loop"), lambda: list(store.list())):
        with pytest.raises(StoreError, match="loop"):
            act()
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_text() == "precious"


def test_strange_objects_in_a_store_are_passed_over(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for folder in ("records/", "annotations/", "erased/", f"creators/{DIGEST}/"):
        for name in ("CON", "..victim.json", "-rf.json", "records/2026-11-28/x.json", "e\u0301.json"):
            store.put(folder + name, b"", sha256=empty)
    for name in ("checkpoint-1.tar.tar", "checkpoint-007.tar", "checkpoint-x.tar", "victim"):
        store.put(f"checkpoints/{name}", b"", sha256=empty)
    assert ([*record_keys(store)], annotation_keys(store), erased(store)) == ([], {}, set())
    assert list(list_ids(store, DIGEST, NOW.timestamp())) == []
    assert Checkpoints(tmp_path / "work", open_store(f"{tmp_path.as_uri()}/checkpoints"))._stored() == []


def test_what_a_sidecar_names_is_checked(tmp_path: Path) -> None:
    cache = AdapterCache(Registry("http://127.0.0.1:9", "m"), tmp_path)
    slot = FolderSlot(tmp_path / "out", DIGEST)
    with slot.locked():
        pass
    for text in ESCAPES:
        last = {"version": 1, "run_id": text, **TAGS, "prompts": ""}
        (tmp_path / "last-good.json").write_text(json.dumps(last))
        assert cache.last_good() is None
        (tmp_path / "out" / ".inputs" / DIGEST).write_text(text)
        assert slot.existing() is None
        assert read_card(text, tmp_path) == NO_CARD


def test_versions_are_not_deleted_or_followed_by_strange_names(tmp_path: Path, honest: Path) -> None:
    datasets = tmp_path / "datasets"
    (datasets / "feedback" / "-rf").mkdir(parents=True)
    old = datasets / "feedback" / "-rf" / "train-000000.tar"
    old.write_text("precious")
    assert withdraw((tmp_path / "f").as_uri(), datasets.as_uri(), tmp_path / "state", tmp_path / "shards") == []
    assert old.read_text() == "precious"
    (datasets / "-rf").mkdir()
    (datasets / "-rf" / NAME).write_bytes((honest / NAME).read_bytes())
    tables = HashtagTables(datasets.as_uri(), poll_seconds=1)
    tables.refresh()
    assert tables.version is None
