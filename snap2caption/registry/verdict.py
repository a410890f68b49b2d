"""Gate verdict: the decision about a candidate, rule by rule."""

from typing import Annotated

from pydantic import Field, ValidationError, computed_field

from snap2caption.errors import UserError
from snap2caption.formats.documents import ScoreDocument, first_fault
from snap2caption.names import FileName


class RuleResult(ScoreDocument):
    """The result of one rule: what was required, and what was found."""

    name: str
    passed: bool
    candidate: float | None
    incumbent: float | None
    reason: str
    """One sentence, for a person."""


class ComparedScore(ScoreDocument):
    """A score of both models that no rule uses."""

    name: str
    candidate: float | None
    incumbent: float | None


class GateVerdict(ScoreDocument):
    """The verdict admits the candidate if every rule passed.

    ``incumbent`` names the model that the candidate was compared with (``champion v3``, ``base``). ``overrides``
    (``gate.margin=0.02``) were applied to the run's recipe for this verdict. ``reported`` are scores on the
    held-out feedback, if the candidate learned from feedback; they do not affect the decision. Nor do ``notes``,
    sentences for a person.
    """

    run_id: FileName
    dataset_version: FileName
    incumbent: str
    rules: Annotated[tuple[RuleResult, ...], Field(min_length=1)]
    reported: tuple[ComparedScore, ...] = ()
    overrides: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: bytes, run_id: str) -> "GateVerdict":
        """Parse the verdict that is stored with a run.

        Raises:
            UserError: it is damaged, or about another run.
        """
        try:
            verdict = cls.model_validate_json(data)
        except ValidationError as error:
            raise UserError(
                f"The verdict on run {run_id} can't be read ({first_fault(error)}); run `snap2caption gate {run_id}` again."
            ) from error
        if verdict.run_id != run_id:
            raise UserError(
                f"The verdict that is kept with run {run_id} is on run {verdict.run_id}; "
                f"run `snap2caption gate {run_id}` again."
            )
        return verdict

    @computed_field  # type: ignore[prop-decorator] # mypy knows no decorated property
    @property
    def admitted(self) -> bool:
        """Whether the candidate may be promoted."""
        return all(rule.passed for rule in self.rules)

    @property
    def refusals(self) -> list[str]:
        """The reasons of the rules that failed."""
        return [rule.reason for rule in self.rules if not rule.passed]

    def table(self) -> str:
        """Return the verdict as a Markdown table, which also reads well on a terminal and in a log."""

        def number(value: float | None) -> str:
            return "-" if value is None else f"{value:.4g}"

        rows = [("rule", "candidate", self.incumbent, "verdict")]
        rows += [
            (rule.name, number(rule.candidate), number(rule.incumbent), "passed" if rule.passed else "**REFUSED**")
            for rule in self.rules
        ]
        rows += [(score.name, number(score.candidate), number(score.incumbent), "reported") for score in self.reported]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        lines.insert(1, " | ".join("-" * width for width in widths))
        return "\n".join(f"| {line} |" for line in lines)

    def report(self) -> str:
        """Return the table, followed by the notes, the decision and its reasons."""
        decision = "Admitted." if self.admitted else f"Refused: {' '.join(self.refusals)}"
        judged = f"Judged with {', '.join(self.overrides)}. " if self.overrides else ""
        return f"{self.table()}\n\n{' '.join([*self.notes, f'{judged}{decision}'])}"
