"""Lookups in the names of `is-crawler`."""

from __future__ import annotations

import pytest

from sojourn.user_agents.tags import Tag, leading_tag, tags_in


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        pytest.param("site24x7", Tag.MONITORING, id="the whole text"),
        pytest.param("check_http/v2.3.3 (monitoring-plugins 2.3.3)", Tag.MONITORING, id="a name of two words"),
        pytest.param("whatsapp/2.23.20.0 a", Tag.SOCIAL_PREVIEW, id="a name with a version"),
        pytest.param("curl/8.7.1", Tag.HTTP_LIBRARY, id="an HTTP library"),
        pytest.param("curling/8.7.1", None, id="the beginning of a word"),
        pytest.param("shop/7 whatsapp/2", None, id="a name that does not lead"),
        pytest.param("", None, id="nothing"),
        pytest.param("(;)", None, id="no word"),
    ],
)
def test_leading_tag(text: str, tag: Tag | None) -> None:
    assert leading_tag(text) is tag


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        pytest.param("linkedinbot/1.0 (apache-httpclient)", {Tag.SOCIAL_PREVIEW, Tag.HTTP_LIBRARY}, id="two names"),
        pytest.param("x (+https://facebookexternalhit.example/slackbot)", set(), id="names in a URL"),
        pytest.param("meta-externalagent/1.1", {Tag.CRAWLER}, id="a name with two tags"),
        pytest.param("inventory-sync/2.4", set(), id="an unknown program"),
    ],
)
def test_tags_in(text: str, tags: set[Tag]) -> None:
    assert tags_in(text) == tags
