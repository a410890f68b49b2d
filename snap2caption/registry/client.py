"""Model registry client: which trained adapter is the champion, on top of MLflow's registered models and aliases.

Three aliases name versions: ``champion`` is in service, ``previous`` was in service before it, and ``challenger``
is the latest version that the gate admitted and nobody has promoted yet.
"""

import re
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snap2caption.errors import UserError
from snap2caption.registry.champion_log import ChampionLog, Decision, create_model
from snap2caption.registry.lineage import find_lineage, learned_from
from snap2caption.registry.verdict import GateVerdict
from snap2caption.registry.version_tags import set_version_tag
from snap2caption.registry.versions import ADAPTER_DIGEST, SIGNATURE, ModelVersion, read_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"

ADAPTER_PATH = "artifacts/adapter"
"""The path of the adapter in a registered model's folder."""

VERDICT = "verdict.json"
"""The artifact of a run that holds the gate's verdict on its model."""

_TRIES = 20
_MOMENT = 1.0


@dataclass(frozen=True, slots=True)
class ChampionState:
    """The champion and the one before it, as of decision number ``decision`` of the log (0: there was none)."""

    champion: ModelVersion | None
    previous: ModelVersion | None
    decision: int


@dataclass(frozen=True, slots=True)
class FeedbackModel:
    """A registered model that learned from a feedback version, itself or by its initial adapter, with its aliases."""

    version: ModelVersion
    feedback_version: str
    aliases: tuple[str, ...]


def is_number(reference: str) -> bool:
    """Whether *reference* is a version number, and not an alias or a run id."""
    return re.fullmatch(r"[0-9]{1,9}", reference) is not None


class Registry:
    """The registered model *name* on the MLflow server at *tracking_uri*."""

    def __init__(self, tracking_uri: str, name: str) -> None:
        self.tracking_uri = tracking_uri
        self.name = name
        self._champion_log = ChampionLog(name)

    def client(self) -> "MlflowClient":
        """Return a client of the server."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    def by_alias(self, alias: str) -> ModelVersion | None:
        """Return the version that *alias* names, or None."""
        found = self._find(lambda client: client.get_model_version_by_alias(self.name, alias))
        return None if found is None else read_version(found)

    def by_run(self, run_id: str) -> ModelVersion | None:
        """Return the version that was registered from the run, or None."""
        found = self._find(lambda client: client.search_model_versions(f"name = '{self.name}' and run_id = '{run_id}'"))
        # Take the first, because two processes may have registered the run at the same time.
        return min((read_version(version) for version in found), key=lambda version: version.version) if found else None

    def by_number(self, number: int) -> ModelVersion | None:
        """Return the version with that number, or None."""
        found = self._find(lambda client: client.get_model_version(self.name, str(number)))
        return None if found is None else read_version(found)

    def resolve(self, reference: str) -> ModelVersion:
        """Return the version that an alias, a version number or a run id refers to.

        Raises:
            UserError: there is none.
        """
        known = self.by_number(int(reference)) if is_number(reference) else self.by_alias(reference)
        version = known or self.by_run(reference)
        if version is None:
            raise UserError(self._explain_missing(reference))
        return version

    def _explain_missing(self, reference: str) -> str:
        if reference == CHAMPION:
            return f"{self.name} has no champion: no model has been promoted yet; run `snap2caption promote RUN_ID`."
        if reference == CHALLENGER:
            return (
                f"{self.name} has no challenger: the gate has admitted no model that still waits for promotion; "
                "run `snap2caption gate RUN_ID` with the id that `snap2caption train` printed."
            )
        if reference == PREVIOUS:
            return f"{self.name} has no previous model: fewer than two models have been promoted."
        if is_number(reference):
            return f"{self.name} has no version {reference}; see {self.tracking_uri} for those that exist."
        return (
            f"MLflow at {self.tracking_uri} has no run {reference!r}, and {self.name} no such alias; "
            "give the id that `snap2caption train` printed."
        )

    def register(self, run_id: str, source: str, tags: dict[str, str]) -> ModelVersion:
        """Register the run's model, once.

        If it is registered already, it keeps its version and gets the tags that it lacks.

        Args:
            run_id: the run.
            source: the logged model's URI (``models:/m-…``).
            tags: must hold ``base``, ``base_revision``, ``dataset_version`` and ``dataset_uri``.
        """
        if (known := self.by_run(run_id)) is not None:
            if known.adapter_sha256 is None and ADAPTER_DIGEST in tags:
                number, digest = known.version, tags[ADAPTER_DIGEST]
                self._ask(lambda client: set_version_tag(client, self.name, number, ADAPTER_DIGEST, digest))
                return self.resolve(str(number))
            return known

        def create(client: "MlflowClient") -> Any:
            create_model(client, self.name)
            model_id = source.removeprefix("models:/")
            return client.create_model_version(self.name, source=source, run_id=run_id, tags=tags, model_id=model_id)

        created = read_version(self._ask(create))
        return self.by_run(run_id) or created

    def learners(self) -> list[FeedbackModel]:
        """Return every version that learned from feedback, once for each version of the feedback.

        The versions that an initial adapter learned from are all among them, as nothing tells which were feedback.
        """
        aliases: dict[int, list[str]] = {}
        for alias, number in sorted(self._aliases().items()):
            aliases.setdefault(number, []).append(alias)
        return [
            FeedbackModel(read_version(found), learned, tuple(aliases.get(int(found.version), ())))
            for found in self._ask(self._search)
            for learned in learned_from(found.tags)
            if learned != found.tags.get("dataset_version")
        ]

    def lineage(self) -> dict[str, tuple[str, ...]]:
        """Return each dataset version that a model learned from, with the names of these models and runs.

        Raises:
            UserError: a version of the registered model does not tell what it learned from.
        """
        found: dict[str, tuple[str, ...]] = self._ask(partial(find_lineage, model=self.name))
        return found

    def _search(self, client: "MlflowClient") -> list[Any]:
        """Return all versions, page by page."""
        found: list[Any] = []
        token: str | None = None
        while True:
            page = client.search_model_versions(f"name = '{self.name}'", page_token=token)
            found += page
            if not (token := page.token):
                return found

    def keep_signature(self, version: ModelVersion, signature: str) -> None:
        """Store the signature of a version. It replaces an earlier one."""
        self._ask(lambda client: set_version_tag(client, self.name, version.version, SIGNATURE, signature))

    def challenge(self, version: ModelVersion) -> None:
        """Make *version* the challenger."""
        self._point(CHALLENGER, version.version)

    def withdraw(self, run_id: str) -> None:
        """Remove the alias challenger from the run's model, if it has it."""
        challenger = self.by_alias(CHALLENGER)
        if challenger is not None and challenger.run_id == run_id:
            self._point(CHALLENGER, None)

    def standing(self) -> ChampionState:
        """Return the champion and the one before it.

        If a promotion was decided but killed before its aliases were set, they are set first. A champion that
        somebody set by hand counts, and becomes part of the log.
        """
        last = self._last_decision()
        if last is not None and not last.applied:
            self._follow_record()
            return self.standing()
        aliases = self._aliases()
        champion = aliases.get(CHAMPION)
        if champion is None:
            return ChampionState(None, self.by_number(last.champion) if last else None, last.number if last else 0)
        if last is not None and champion == last.champion:
            return ChampionState(
                self.by_number(champion), self.by_number(last.previous) if last.previous else None, last.number
            )
        if self._stays(champion):
            previous, upon = (last.champion, last.number) if last else (aliases.get(PREVIOUS), 0)
            self._propose(Decision(champion, previous, upon))
        return self.standing()

    def promote(self, version: ModelVersion, standing: ChampionState | None = None) -> None:
        """Make *version* the champion. The champion before it becomes ``previous``. A second call changes nothing.

        Args:
            version: the new champion.
            standing: the state that the request is based on; by default, the present one.

        Raises:
            UserError: another promotion or rollback has been decided since.
        """
        standing = standing or self.standing()
        if standing.champion != version:
            others = (other.version for other in (standing.champion, standing.previous) if other and other != version)
            self._decide(Decision(version.version, next(others, None), standing.decision))
        self.withdraw(version.run_id)

    def rollback(self, request: str = "") -> ModelVersion:
        """Swap the champion and the previous champion; return the new champion.

        Args:
            request: a name of this request. A rollback that was decided under the same name is not repeated.

        Raises:
            UserError: there is no previous champion, or another promotion or rollback has been decided meanwhile.
        """
        standing = self.standing()
        done = next((made for made in self._decisions() if request and made.request == request), None)
        if done is not None:
            return self.resolve(str(done.champion))
        if standing.previous is None:
            promoted = "only one has been promoted" if standing.champion else "none has been promoted"
            raise UserError(f"There is no previous model to roll back to: {promoted}.")
        before = standing.champion.version if standing.champion else None
        self._decide(Decision(standing.previous.version, before, standing.decision, rollback=True, request=request))
        return standing.previous

    def was_rolled_back(self, version: ModelVersion) -> bool:
        """Whether a rollback took *version* out of service, and nobody has promoted it since."""
        for made in reversed(self._decisions()):
            if made.champion == version.version:
                return False
            if made.previous == version.version and made.rollback:
                return True
        return False

    def verdict(self, version: ModelVersion) -> GateVerdict | None:
        """Return the gate's verdict on a version, or None if the gate has not judged it."""

        def read(client: "MlflowClient") -> GateVerdict | None:
            if all(found.path != VERDICT for found in client.list_artifacts(version.run_id)):
                return None
            with tempfile.TemporaryDirectory() as scratch:
                path = client.download_artifacts(version.run_id, VERDICT, scratch)
                return GateVerdict.parse(Path(path).read_bytes(), version.run_id)

        found: GateVerdict | None = self._ask(read)
        return found

    def download_adapter(self, version: ModelVersion, folder: Path) -> Path:
        """Download the version's adapter into *folder* and return the adapter's folder."""
        import mlflow

        # Both, because MLflow looks up a `models:/` URI in the registry that its own variables name, whatever is passed.
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.tracking_uri)
        folder.mkdir(parents=True, exist_ok=True)
        root = self._ask(
            lambda _: mlflow.artifacts.download_artifacts(
                f"models:/{self.name}/{version.version}", dst_path=str(folder)
            )
        )
        adapter = Path(root) / ADAPTER_PATH
        if not (adapter / "adapter_config.json").is_file():
            raise UserError(f"Version {version.version} of {self.name} has no adapter; promote another version.")
        return adapter

    def _decide(self, wanted: Decision) -> None:
        """Record *wanted*, and set the aliases.

        Raises:
            UserError: another decision came first, and differs.
        """
        made = self._propose(wanted)
        last = self._follow_record()
        if made is None and last.champion != wanted.champion:
            raise UserError(
                f"Another promotion or rollback came first, and the champion is version {last.champion} now; "
                "run the gate on the model again, or check the registry and roll back again."
            )

    def _follow_record(self) -> Decision:
        """Set the aliases as the log's last decision says, again if a newer one is made meanwhile; return it."""
        for _ in range(_TRIES):
            last = self._last_decision()
            assert last is not None  # noqa: S101 - whoever calls has seen one
            # Set `previous` first: if the process is killed in between, the champion in service stays unchanged
            # until the next call of `standing`.
            self._point(PREVIOUS, last.previous)
            self._point(CHAMPION, last.champion)
            if self._last_decision() == last:
                self._ask(partial(self._champion_log.mark_applied, decision=last))
                return last
        raise UserError(f"The champion of {self.name} changes faster than its aliases can be set; see who promotes.")

    def _stays(self, champion: int) -> bool:
        """Whether the alias still names *champion* after a moment.

        A late process corrects at once what it overwrote. A person does not.
        """
        time.sleep(_MOMENT)
        return self._aliases().get(CHAMPION) == champion

    def _propose(self, decision: Decision) -> Decision | None:
        made: Decision | None = self._ask(partial(self._champion_log.propose, decision=decision))
        return made

    def _decisions(self) -> list[Decision]:
        found: list[Decision] = self._ask(self._champion_log.decisions)
        return found

    def _last_decision(self) -> Decision | None:
        return next(reversed(self._decisions()), None)

    def _aliases(self) -> dict[str, int]:
        found = self._find(lambda client: client.get_registered_model(self.name))
        return {alias: int(version) for alias, version in found.aliases.items()} if found else {}

    def _point(self, alias: str, version: int | None) -> None:
        """Set *alias* to *version*, or remove it.

        Several processes may apply the same decision at once. If two create an alias at the same moment, the
        database refuses one of them. That one checks whether the alias is right, and tries again if not.
        """
        for left in reversed(range(_TRIES)):
            try:
                self._set_alias(alias, version)
            except UserError:
                if self._aliases().get(alias) == version:
                    return
                if not left:
                    raise
            else:
                return

    def _set_alias(self, alias: str, version: int | None) -> None:
        if version is not None:
            self._ask(lambda client: client.set_registered_model_alias(self.name, alias, str(version)))
        elif alias in self._aliases():
            self._ask(lambda client: client.delete_registered_model_alias(self.name, alias))

    def _find(self, question: "Callable[[MlflowClient], Any]") -> Any:
        """Return what *ask* returns, or None if MLflow has no such entry."""
        from mlflow.exceptions import MlflowException

        def ask(client: "MlflowClient") -> Any:
            try:
                return question(client)
            except MlflowException as error:
                # MLflow raises the first for a missing version, and the second for a missing alias.
                if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                    return None
                raise

        return self._ask(ask)

    def _ask(self, question: "Callable[[MlflowClient], Any]") -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return question(self.client())
        except MlflowException as error:
            raise UserError(
                f"MLflow at {self.tracking_uri} refused the request or did not answer ({error.message}); "
                "check its log, or set SNAP2CAPTION_MLFLOW_TRACKING_URI."
            ) from error
