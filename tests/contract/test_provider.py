"""What every provider of machines promises, whoever makes them: the lab, DigitalOcean, Phala Cloud."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spokewire.cloud.provider import Machine, MachineState
from tests.contract.cases import Subject, make_machine_token, open_subject
from tests.emulators.authority import Authority

ALIVE = (MachineState.RUNNING, MachineState.PENDING)


@pytest.fixture(params=["digitalocean", "phala", pytest.param("lab", marks=pytest.mark.lab)])
def subject(request: pytest.FixtureRequest, authority: Authority, tmp_path: Path) -> Iterator[Subject]:
    with open_subject(request.param, authority, tmp_path) as opened:
        yield opened


def create(subject: Subject, name: str) -> Machine:
    return subject.provider().create(subject.spec(name), make_machine_token(name))


def see(subject: Subject) -> dict[str, Machine]:
    machines = subject.provider().observe()
    found = {str(machine.name): machine for machine in machines}
    assert len(found) == len(machines)
    return found


def test_where_nothing_was_made_nothing_is_seen_and_nothing_is_left(subject: Subject) -> None:
    assert see(subject) == {}
    subject.provider().destroy(subject.spec(subject.names[0]).name)
    assert subject.provider().sweep() == []
    assert see(subject) == {}


def test_a_machine_that_was_made_is_seen_as_it_was_told(subject: Subject) -> None:
    name = subject.names[0]
    made = create(subject, name)
    seen = see(subject)[name]
    assert (made.name, made.role, made.shape) == (seen.name, seen.role, seen.shape)
    assert seen.role == subject.spec(name).role
    assert seen.state in ALIVE
    assert (made.public_address, made.status_url) == (seen.public_address, seen.status_url)


def test_a_machine_that_is_asked_for_twice_is_one(subject: Subject) -> None:
    create(subject, subject.names[0])
    create(subject, subject.names[0])
    assert list(see(subject)) == [subject.names[0]]
    assert len(subject.everything()) == 1
    assert subject.creations() in (1, None)


def test_a_machine_keeps_its_shape_until_the_spec_wants_another(subject: Subject) -> None:
    name = subject.names[0]
    create(subject, name)
    seen, provider = see(subject)[name], subject.provider()
    assert provider.shape(subject.spec(name), seen) == seen.shape
    assert provider.shape(subject.other_spec(name), seen) != seen.shape


def test_one_machine_goes_the_others_stay_and_twice_is_once(subject: Subject) -> None:
    first, second, _ = subject.names
    create(subject, first)
    create(subject, second)
    for _ in range(2):
        subject.provider().destroy(subject.spec(first).name)
        assert list(see(subject)) == [second]
    create(subject, first)
    assert sorted(see(subject)) == sorted([first, second])


def test_a_sweep_leaves_nothing_and_says_so_also_the_second_time(subject: Subject) -> None:
    for name in subject.names:
        create(subject, name)
    assert sorted(see(subject)) == sorted(subject.names)
    for _ in range(2):
        assert subject.provider().sweep() == []
        assert see(subject) == {}
        assert subject.everything() == []


def test_machines_of_others_are_neither_seen_nor_removed(subject: Subject) -> None:
    subject.plant()
    before = subject.everything()
    create(subject, subject.names[0])
    assert list(see(subject)) == [subject.names[0]]
    subject.provider().destroy(subject.spec(subject.names[2]).name)
    assert subject.provider().sweep() == []
    assert subject.everything() == before


def test_whose_machines_there_are_is_told_where_there_may_be_others(subject: Subject) -> None:
    assert subject.provider().find_networks() == frozenset()
    create(subject, subject.names[0])
    assert subject.provider().find_networks() == subject.networks
    subject.provider().sweep()
    assert subject.provider().find_networks() == frozenset()


def test_looking_makes_nothing(subject: Subject) -> None:
    wanted = [subject.spec(name) for name in subject.names]
    subject.provider().check(wanted)
    price = subject.provider().price(wanted[0])
    assert price is None or 0 < price.hourly < price.monthly
    assert see(subject) == {}
    assert subject.everything() == []
