"""A new epoch hits every token, and says who began it."""

from flask import Flask

from idp.audit.trail import Actor
from idp.feed import positions
from idp.feed.follower import Follower
from idp.keys import epoch
from idp.platform import database
from tests.traces import entries


def test_a_new_epoch_is_an_entry_that_hits_every_token_and_is_audited(app: Flask, operator: Actor) -> None:
    before = positions.head()
    with database.writing():
        epoch.new(by=operator)
    following = Follower(app)
    while following.read():
        pass
    [entry] = following.changes_since(before).entries
    assert (entry.kind, entry.match, entry.position) == ("epoch", "{}", positions.head())
    assert [(one.event, one.actor_id) for one in entries("feed")] == [("feed.epoch.begun", operator.id)]
