import multiprocessing
import time
from dataclasses import replace

from orchestrator.owner import LEASE_SECONDS, Owner


def test_this_process_is_alive():
    assert Owner.me().alive(time.time())


def test_a_process_that_ended_is_dead():
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,))
    process.start()
    owner = replace(Owner.me(), pid=process.pid)
    process.join()
    assert not owner.alive(time.time())


def test_a_process_id_that_was_used_again_is_not_the_owner():
    me = Owner.me()
    assert not replace(me, started=me.started - 60).alive(time.time())


def test_a_process_of_an_earlier_boot_is_dead():
    assert not replace(Owner.me(), boot="another").alive(time.time())


def test_an_owner_on_another_machine_lives_as_long_as_its_lease():
    owner = replace(Owner.me(now=1000.0), host="elsewhere")
    assert owner.alive(1000.0 + LEASE_SECONDS - 1)
    assert not owner.alive(1000.0 + LEASE_SECONDS)


def test_a_late_beat_does_not_kill_an_owner_of_this_machine():
    assert Owner.me(now=0.0).alive(time.time())
