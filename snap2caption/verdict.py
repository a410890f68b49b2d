"""The gate's decision about a candidate, rule by rule."""

from pydantic import BaseModel, ConfigDict, computed_field


class Rule(BaseModel):
    """One rule: what was asked, what was found."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    candidate: float | None
    incumbent: float | None
    reason: str
    """One sentence, for a person."""


class Verdict(BaseModel):
    """Admitted if every rule passed. ``incumbent`` names what the candidate was compared with (``champion v3``, ``base``)."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    dataset_version: str
    incumbent: str
    rules: tuple[Rule, ...]

    @computed_field  # type: ignore[prop-decorator] # mypy knows no decorated property
    @property
    def admitted(self) -> bool:
        """Whether the candidate may be promoted."""
        return all(rule.passed for rule in self.rules)

    @property
    def refusals(self) -> list[str]:
        """Why not: the reasons of the rules that failed."""
        return [rule.reason for rule in self.rules if not rule.passed]
