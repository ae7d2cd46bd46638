"""How a fake vendor fails on demand: at random with a seed, the next few times, or slowly."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sojourn.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failing response. `has_taken`: the events are kept all the same, and only the response is lost."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    has_taken: bool = False


class Trouble:
    """The failures to come. The caller holds a lock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._next: deque[Failure] = deque()
        self._rate = 0.0
        self._statuses: tuple[int, ...] = ()
        self._has_taken = False
        self._chance = random.Random(0)  # noqa: S311 - failures that a seed repeats

    def at_random(self, rate: float, statuses: Sequence[int], seed: int, *, has_taken: bool) -> None:
        if not 0 <= rate <= 1 or (rate and not statuses):
            raise SettingsError(
                f"fail(rate=..., statuses=...): a rate is from 0 to 1, with at least one status; got {rate!r}"
            )
        self._rate, self._statuses, self._has_taken = rate, tuple(statuses), has_taken
        self._chance = random.Random(seed)  # noqa: S311

    def next_times(self, failure: Failure, times: int) -> None:
        self._next.extend([failure] * times)

    def heal(self) -> None:
        self._next.clear()
        self._rate = self.seconds = 0.0

    def pick(self) -> Failure | None:
        """Return the failure of the next call, if any."""
        if self._next:
            return self._next.popleft()
        if self._rate and self._chance.random() < self._rate:
            return Failure(status=self._chance.choice(self._statuses), has_taken=self._has_taken)
        return None
