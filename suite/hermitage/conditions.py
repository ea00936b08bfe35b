"""Whether the anomaly occurred, from the answers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .interpreter import Answer, Said
from .schedules import FINAL, Condition, Rows, Schedule


def occurred(schedule: Schedule, said: Sequence[Said], final: Rows) -> bool:
    """Whether those committed that must have, and every condition holds."""
    answers = {each.step.name: each.answer for each in said if each.step.name is not None}
    answers[FINAL] = Answer(rows=final)
    return committed(said).issuperset(schedule.committed) and all(
        holds(condition, answers) for condition in schedule.occurs
    )


def committed(said: Sequence[Said]) -> set[int]:
    """The sessions whose commit the server confirmed as one.

    A COMMIT that is answered without an error is not enough: PostgreSQL rolls back a transaction
    that has failed, and says so.
    """
    return {each.step.session for each in said if each.answer.ended == "commit"}


def holds(condition: Condition, answers: Mapping[str, Answer]) -> bool:
    """Whether the answers are as the condition says."""
    if condition.together:
        read = tuple(answers[name].rows for name in condition.together)
        return None not in read and read not in condition.unlike
    names = condition.any_of or (condition.of,)
    return any(_fits(condition, answers, answers[name]) for name in names)


def _fits(condition: Condition, answers: Mapping[str, Answer], answer: Answer) -> bool:
    if condition.changed is not None:
        return answer.changed == condition.changed
    read = answer.rows
    if read is None:
        return False  # refused, or left out
    return all(
        (
            condition.equals is None or read == condition.equals,
            condition.has is None or condition.has in read,
            condition.lacks is None or condition.lacks not in read,
            condition.not_among is None or read not in condition.not_among,
            condition.rows is None or len(read) == condition.rows,
            condition.differs_from is None
            or answers[condition.differs_from].rows not in (None, read),
        )
    )
