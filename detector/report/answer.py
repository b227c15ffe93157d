"""Which day, who, how many labels: incidents enter, the answer in one sentence leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from detector.findings import Record, is_sweep
from detector.report.tally import Keys, PersonShift, Sum, sums
from detector.report.texts import EN, ZH
from detector.sentences import count_range

WEEKDAYS_ZH = "一二三四五六日"


@dataclass(frozen=True, slots=True)
class Answer:
    """All sweeps together, on how many days; of the worst day how much, and who exposed most labels then.

    `worst_days` are those as bad as it, itself among them.
    """

    total: Sum
    days: int
    worst_days: int
    day: date
    of_day: Sum
    worst: PersonShift
    of_worst: Sum

    def words(self, language: str, title: str) -> str:
        """As one sentence, in `zh` or `en`; `title` is what people call the camera of the worst."""
        texts = ZH if language == "zh" else EN
        when = short_day(self.day, language)
        if self.days > 1:
            when = texts["answer_worst" if self.worst_days == 1 else "answer_tied"].format(day=when, n=self.worst_days)
        alone = self.of_day.sweeps == self.of_worst.sweeps
        said = texts["answer_who" if alone else "answer_most"].format(
            when=when,
            camera=title,
            who=who(self.worst, language),
            labels=labels(self.of_worst),
            of_day=labels(self.of_day),
        )
        if self.days == 1:
            return said
        return said + texts["answer_all"].format(n=self.total.sweeps, days=self.days, total=labels(self.total))


def answer_of(incidents: Sequence[Record], keys: Keys) -> Answer | None:
    """The answer; `None` where nobody photographed labels."""
    by_day = sums(incidents, keys.day)
    if not by_day:
        return None
    day, of_day = next(iter(by_day.items()))
    people = sums((one for one in incidents if keys.day(one) == day), keys.person_shift)
    worst, of_worst = next(iter(people.items()))
    tied = sum(one.best == of_day.best for one in by_day.values())
    return Answer(sums(incidents, is_sweep)[True], len(by_day), tied, day, of_day, worst, of_worst)


def who(person: PersonShift, language: str) -> str:
    """People as a camera numbers them, and in which shift."""
    texts = ZH if language == "zh" else EN
    numbers = ("、" if language == "zh" else ", ").join(map(str, person.tracks))
    one, _, many = texts["number"].partition("|")
    people = (
        (many if len(person.tracks) > 1 and many else one).format(numbers=numbers) if numbers else texts["somebody"]
    )
    if person.shift == "":
        return people
    return people + (texts["in_shift"].format(shift=person.shift) if person.shift else texts["in_no_shift"])


def labels(found: Sum) -> str:
    """The best estimate and its range: `14 (9–20)`."""
    return f"{found.best} ({count_range(found.low, found.high)})"


def short_day(day: date, language: str) -> str:
    """A day as one says it; the year stands at the top of the page."""
    if language == "zh":
        return f"{day.month} 月 {day.day} 日（周{WEEKDAYS_ZH[day.weekday()]}）"
    return f"{day:%a} {day.day} {day:%b}"
