"""PostHog's people: profiles with their distinct ids, merged by `$identify` and `$create_alias` as its ingestion does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sojourn.testing.vendors.model import VendorEvent

IDENTIFY: Final = "$identify"
ALIAS: Final = "$create_alias"
# Ids that broken code sends everywhere: merging by them would make one person of thousands.
ILLEGAL_IDS: Final = frozenset(
    {
        *("anonymous", "guest", "distinctid", "distinct_id", "id", "not_authenticated", "email", "undefined"),
        *("true", "false", "null", "none", "nan", "0", "[object object]", '"undefined"', '"null"', ""),
    }
)


@dataclass(slots=True)
class DataSubject:
    """A profile. `user_id`: the id by which it was identified."""

    user_id: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)


class People:
    """All profiles of a project, by distinct id."""

    def __init__(self) -> None:
        self._by_id: dict[str, DataSubject] = {}
        self.warnings: list[str] = []

    def see(self, event: VendorEvent) -> None:
        """Apply an event. It creates no profile if `$process_person_profile` is false."""
        properties: Mapping[str, Any] = event.attributes
        own_id = str(event.user_id)
        if event.name == IDENTIFY:
            self._merge(own_id, properties.get("$anon_distinct_id"), is_login=True)
        elif event.name == ALIAS:
            self._merge(own_id, properties.get("alias"), is_login=False)
        has_profile = properties.get("$process_person_profile") is not False
        if has_profile:
            person = self._by_id.setdefault(own_id, DataSubject())
            if event.name != ALIAS and own_id not in (properties.get("$device_id"), None):
                person.user_id = person.user_id or own_id
            once, changes = properties.get("$set_once"), properties.get("$set")
            if isinstance(once, Mapping):
                person.properties = {**once, **person.properties}
            if isinstance(changes, Mapping):
                person.properties |= changes
        elif event.name == IDENTIFY:
            self.warnings.append("$identify without a profile does nothing")

    def user_of(self, distinct_id: str) -> str | None:
        """Return the user id of the person to whom a distinct id belongs."""
        person = self._by_id.get(distinct_id)
        return None if person is None else person.user_id

    def profile(self, distinct_id: str) -> Mapping[str, Any] | None:
        """Return the properties of a person, or `None` without a profile."""
        person = self._by_id.get(distinct_id)
        return None if person is None else person.properties

    def _merge(self, own_id: str, other_id: object, *, is_login: bool) -> None:
        """Merge two ids into one person. An identified person is not merged into another.

        Of the two ids of an alias, clients do not agree which one is the user's.
        """
        if own_id.strip().lower() in ILLEGAL_IDS:
            self.warnings.append("cannot merge with an illegal distinct id")
            return
        person = self._by_id.setdefault(own_id, DataSubject())
        if isinstance(other_id, str) and other_id and other_id != own_id:
            other = self._by_id.get(other_id)
            if other_id.strip().lower() in ILLEGAL_IDS:
                self.warnings.append("cannot merge with an illegal distinct id")
            elif other is not None and other is not person and other.user_id is not None:
                self.warnings.append("cannot merge with a person who is identified already")
            else:
                if other is not None:
                    person.properties = {**other.properties, **person.properties}
                self._by_id[other_id] = person
        if is_login:
            person.user_id = own_id
