"""Services that follow a provider of several processes: whatever happens to it, nothing superseded passes for longer
than stated, and nothing good is refused.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from idp.cli.main import main
from idp_verifier import Verifier
from tests import databases
from tests.databases import Template
from tests.flows import downstream
from tests.flows.downstream import UNAVAILABLE, House, Provider, Watch, verdict

SERVICES, TRIALS = 20, 200

Running = tuple[Provider, House]


@pytest.fixture(scope="module")
def started(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One provider for all tests of this module; each hires people of its own."""
    folder = tmp_path_factory.mktemp("house")
    with template.copy(folder) as url:
        yield from downstream.running(url, folder)


@pytest.fixture
def verifier(started: Running) -> Iterator[Verifier]:
    """A service's, which knows the feed."""
    with started[1].verifier() as verifier:
        yield verifier


def watch(services: list[Verifier], *good: str) -> Watch:
    """A watch over services that know the provider by now."""
    watch = Watch(services, list(good))
    watch.settle()
    for service in services:
        downstream.Service.until(service.poll, within=downstream.PATIENCE)
    return watch


@pytest.mark.rule("ORG-06")
@pytest.mark.parametrize("template", ["postgresql"], indirect=True)
def test_a_role_that_is_taken_away_is_refused_by_twenty_services(started: Running) -> None:
    _, house = started
    people, colleague = house.hire(TRIALS), house.hire(1)[0]
    tokens = [one.token() for one in people]
    with ExitStack() as stack:
        services = [stack.enter_context(house.verifier(f"service-{number}")) for number in range(SERVICES)]
        watching = watch(services, colleague.token())
        for person, token in zip(people, tokens, strict=True):
            watching.lose(token, person.lose())
            watching.look()
        watching.settle()
    each = [seconds for one in watching.lost for seconds in one.refused_after]
    last = [max(one.refused_after) for one in watching.lost]
    assert len(each) == SERVICES * TRIALS
    for name, took in (("a refusal", each), ("the last refusal", last)):
        cuts = statistics.quantiles(took, n=100)
        print(f"from commit to {name}: p50 {cuts[49]:.3f} s, p99 {cuts[98]:.3f} s, most {max(took):.3f} s")


def test_while_the_provider_is_paused_nobody_is_let_in_or_sent_away(started: Running, verifier: Verifier) -> None:
    provider, house = started
    loser, winner = house.hire(2)
    token = loser.token()
    watching = watch([verifier], winner.token())
    with provider.paused(lambda: watching.lose(token, loser.lose())):
        watching.until(lambda found: found == {UNAVAILABLE})
    print(f"paused: all is well {watching.settle():.1f} s after it went on")


def test_when_one_worker_is_paused_the_other_answers(started: Running, verifier: Verifier) -> None:
    provider, house = started
    loser, winner = house.hire(2)
    token = loser.token()
    watching = watch([verifier], winner.token())
    web = provider.workers()[0]
    with provider.paused(lambda: watching.lose(token, loser.lose()), web):
        watching.settle()
    print(f"one worker paused: nobody could say for {watching.longest_unavailable:.1f} s at the most")


def test_while_the_provider_is_stopped_nobody_is_let_in_or_sent_away(started: Running, verifier: Verifier) -> None:
    provider, house = started
    loser, winner = house.hire(2)
    token, good = loser.token(), winner.token()
    watching = watch([verifier], good)
    assert provider.stop() == 0
    watching.lose(token, loser.lose())
    watching.until(lambda found: found == {UNAVAILABLE})
    with house.verifier() as late:
        assert {verdict(late, one) for one in (token, good)} == {UNAVAILABLE}, "a service that starts knows nothing"
        provider.start()
        print(f"stopped and started: all is well {watching.settle():.1f} s after it was ready")
        Watch([late], [good], [downstream.Lost(token, 0.0, [late])]).settle()


def test_after_yesterdays_backup_is_restored_all_of_todays_tokens_are_refused(
    started: Running, verifier: Verifier, tmp_path: Path
) -> None:
    provider, house = started
    keeps, loses = house.hire(2)
    _idp(provider, "backup", str(tmp_path / "yesterday"))
    today = [keeps.token(), loses.token()]
    watching = watch([verifier], today[0])
    loses.lose()
    assert provider.stop() == 0
    databases.dispose()
    _idp(provider, "restore", str(tmp_path / "yesterday"), "--replace")
    restored = time.monotonic()
    watching.good = []
    for token in today:
        watching.lose(token, restored)
    provider.start()
    watching.settle()
    watching.good = [house.back(one).token() for one in (keeps, loses)]
    watching.settle()


def _idp(provider: Provider, *words: str) -> None:
    result = CliRunner(env=provider.environment()).invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
