"""Hits of agents."""

from __future__ import annotations

import msgspec

from sojourn.core.agent_hits import AgentHit, Verdict


def test_the_order_of_its_fields_is_the_format() -> None:
    hit = AgentHit(7_200_123, "GPTBot", "ai_training", "/a", 200, Verdict.REFUTED, is_late=True)
    encoded = msgspec.msgpack.encode(hit)
    assert msgspec.msgpack.decode(encoded) == [7_200_123, "GPTBot", "ai_training", "/a", 200, 2, True]
    assert msgspec.msgpack.decode(encoded, type=AgentHit) == hit


def test_the_hour_of_a_hit() -> None:
    assert AgentHit(7_200_123, "GPTBot", "ai_training", "/a", 200).hour == 7_200_000
