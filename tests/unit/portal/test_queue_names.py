"""Every topic and every group has a name for people, and no other."""

from schemas.catalogue import TOPICS
from scripts import strimzi
from services.portal.rules.queues import GROUP_NAMES, TOPIC_NAMES, group_name, topic_name


def test_every_topic_and_group_has_a_name() -> None:
    groups = {group for asked in strimzi.subscriptions().values() for group in asked.groups}
    assert TOPIC_NAMES.keys() == TOPICS.keys()
    assert GROUP_NAMES.keys() == groups
    assert len(set(TOPIC_NAMES.values())) == len(TOPIC_NAMES)
    assert len(set(GROUP_NAMES.values())) == len(GROUP_NAMES)


def test_what_another_version_has_more_is_called_as_it_is() -> None:
    assert (topic_name("study-arrived-v2"), group_name("portal-x")) == ("study-arrived-v2", "portal-x")
