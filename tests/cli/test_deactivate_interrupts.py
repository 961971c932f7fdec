"""`api-keys deactivate`, interrupted: every id is accounted for."""

from __future__ import annotations

import json
import signal

import pytest

from api_keys_client.sandbox import Fault, Sandbox
from tests.support.cli_runs import Held, active, begun, ended, made, terminal


def test_interrupted_it_says_which_were_done_and_which_not_begun(engine: Sandbox) -> None:
    ids = [made(engine) for _ in range(20)]
    engine.queue(Fault.delay(0), operation="deactivate")
    in_flight, begun_late = Held(engine, "deactivate", times=8), Held(engine, "deactivate", times=8)
    with terminal(engine, "deactivate", "--yes", *ids) as run:
        run.until("1/20")
        in_flight.wait()
        run.type("\x03")
        # The terminal's echo of it: the signal has been sent.
        run.until("^C")
        in_flight.let_go()
        # Whoever counts them has met the signal; until then, others may have begun.
        run.until("9/20")
        begun_late.let_go()
        ended = run.end()
    assert ended.code == 130
    states = dict(line.split(None, 1) for line in ended.plain.splitlines() if line[:36] in ids)
    ended_ids = {*ids} - {*active(engine)}
    assert {key_id for key_id, state in states.items() if state.strip() == "deactivated"} == ended_ids
    assert {key_id for key_id, state in states.items() if state.strip() == "not begun"} == {*ids} - ended_ids
    assert 9 <= len(ended_ids) < 20
    assert f"{len(ended_ids)} deactivated, {20 - len(ended_ids)} not begun." in ended.plain


def test_interrupted_again_it_gives_up_those_under_way(engine: Sandbox) -> None:
    ids = [made(engine) for _ in range(20)]
    in_flight = Held(engine, "deactivate", times=8)
    with terminal(engine, "deactivate", "--yes", "--json", *ids) as run:
        in_flight.wait()
        run.type("\x03")
        run.until("Stopping: waiting for those under way; Ctrl-C again gives them up.")
        run.type("\x03")
        ended = run.end()
    in_flight.let_go()
    assert ended.code == 130
    document = json.loads(ended.plain[ended.plain.index("{") : ended.plain.rindex("}") + 1])
    assert [result["state"] for result in document["results"]] == ["unknown"] * 8 + ["not_begun"] * 12
    assert document["counts"] == {"unknown": 8, "not_begun": 12}
    assert "api-keys get ID" in ended.plain


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_a_pipe_is_told_of_and_every_id_accounted_for(
    engine: Sandbox, number: signal.Signals, code: int
) -> None:
    ids = [made(engine) for _ in range(40)]
    in_flight = Held(engine, "deactivate", times=8)
    with begun(engine, "deactivate", "--yes", *ids) as child:
        in_flight.wait()
        child.send_signal(number)
        assert child.stderr is not None
        assert child.stderr.readline().startswith("Stopping: waiting for those under way")
        in_flight.let_go()
        run = ended(child)
    assert run.code == code
    left = active(engine)
    assert [line.split("\t")[:2] for line in run.out.splitlines()] == [
        [key_id, "not_begun" if key_id in left else "deactivated"] for key_id in ids
    ]
    # A few more may have begun before the signal was met.
    assert 0 < len(left) <= 32
