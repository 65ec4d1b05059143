"""The supervisor, with small real children.

It runs in a process of its own: it handles signals and adopts orphans.
"""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import textwrap
import time
from pathlib import Path

import pytest

from mps.launcher.supervisor import SAME_WISH_SECONDS
from tests.launcher.helpers import CHECKOUT, Launched, descendants, is_alive, launched, wait_until

_HEAD = """
import os, signal, sys
from pathlib import Path
from mps.launcher import supervisor
from mps.launcher.errors import LauncherError
from mps.launcher.process import Process
from mps.launcher.supervisor import StopRequested, Supervisor

supervisor._BACKOFF_SECONDS = (0.05,) * 5

def shell(name, script, **more):
    return Process(name=name, argv=["sh", "-c", script], env=os.environ, cwd=Path.cwd(), **more)

def main(keeper):
"""
_TAIL = """
with Supervisor() as keeper:
    try:
        main(keeper)
    except StopRequested:
        pass
    except LauncherError as error:
        print("failed:", error, flush=True)
print("forced" if keeper.was_forced else "over", flush=True)
"""
# Says when it runs and when it is asked to stop.
_POLITE = "trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.05; done"
_STUBBORN = "trap '' TERM; echo hello; while :; do sleep 0.05; done"


def _script(tmp_path: Path, body: str) -> str:
    file = tmp_path / "script.py"
    file.write_text(_HEAD + textwrap.indent(textwrap.dedent(body), "    ") + _TAIL)
    return str(file)


def _pid(launcher: Launched, name: str) -> int:
    """Return what the child `name` last printed as its process id."""
    lines = [line for line in launcher.lines if line.startswith(name) and "pid " in line]
    return int(lines[-1].rpartition("pid ")[2])


def test_children_stop_in_reverse_order_of_their_start(tmp_path: Path) -> None:
    body = f"""
        keeper.start(shell("first", {_POLITE!r}), shell("second", {_POLITE!r}))
        keeper.start(shell("third", {_POLITE!r}))
        keeper.wait()
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with launched(_script(tmp_path, body)) as launcher:
            launcher.wait_for("hello", times=3)
            assert launcher.finish(number) == 0

        assert [line for line in launcher.lines if "bye" in line] == [
            "third    | bye",
            "second   | bye",
            "first    | bye",
        ]
        assert launcher.lines[-1] == "over"
        assert "restarting" not in launcher.text


def test_output_is_prefixed_line_by_line_and_plain_without_a_terminal(tmp_path: Path) -> None:
    noise = (
        r"printf 'one\ntwo\r\n\377\nhidden thing\npart'; sleep 0.1; printf 'ly'; sleep 0.1;"
        " exec 1>&2; echo; printf end"
    )
    body = f"""
        import re
        keeper.run(shell("noisy", {noise!r}, muted=re.compile("hidden")))
    """
    with launched(_script(tmp_path, body)) as launcher:
        assert launcher.finish() == 0

    assert launcher.lines == [
        "noisy    | one",
        "noisy    | two",
        "noisy    | �",
        "noisy    | partly",
        "noisy    | end",
        "over",
    ]


def test_a_line_without_end_is_shown_in_pieces(tmp_path: Path) -> None:
    body = """
        keeper.run(shell("endless", "head -c 200000 /dev/zero | tr '\\\\0' x"))
    """
    with launched(_script(tmp_path, body)) as launcher:
        assert launcher.finish() == 0

    assert launcher.text.count("x") == 200_000
    assert 2 <= len(launcher.lines) <= 5


def test_nothing_is_lost_when_a_signal_comes_while_the_reader_is_slow(tmp_path: Path) -> None:
    body = """
        keeper.run(shell("endless", "head -c 200000 /dev/zero | tr '\\\\0' x"))
    """
    with subprocess.Popen(
        [sys.executable, "-u", _script(tmp_path, body)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
    ) as launcher:
        assert launcher.stdout is not None
        pipe = launcher.stdout.fileno()
        room = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
        wait_until(lambda: _waiting_bytes(pipe) == room)
        # Cuts the write short that is waiting for us.
        launcher.send_signal(signal.SIGCHLD)
        time.sleep(0.1)
        said = launcher.stdout.read()

    assert said.count(b"x") == 200_000
    assert said.endswith(b"\nover\n")


def _waiting_bytes(pipe: int) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_prefixes_have_colours_on_a_terminal(
    tmp_path: Path, env: dict[str, str], coloured: bool
) -> None:
    script = _script(tmp_path, 'keeper.run(shell("child", "echo hello"))')
    terminal, line = os.openpty()
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, script],
        env={**clean, "PYTHONPATH": str(CHECKOUT), **env},
        stdout=line,
        stdin=line,
    ) as launcher:
        assert launcher.wait(30) == 0
    os.close(line)
    said = os.read(terminal, 4096).decode()
    os.close(terminal)

    assert "child    |" in said
    assert ("\x1b[36mchild    |\x1b[0m hello" in said) is coloured
    assert ("\x1b" in said) is coloured


def test_killed_child_is_restarted_and_its_orphans_are_ended(tmp_path: Path) -> None:
    # The child leaves a grandchild in a session of its own, as PostgreSQL does with its backends.
    child = "setsid sleep 300 & echo grandchild pid $!; echo child pid $$; wait"
    body = f"""
        keeper.start(shell("other", {_POLITE!r}), shell("parent", {child!r}))
        keeper.wait()
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.wait_for("child pid", times=2)
        first = descendants(launcher.process.pid)
        os.kill(_pid(launcher, "parent"), signal.SIGKILL)

        launcher.wait_for("parent was killed by SIGKILL; restarting it in 0.05 s.")
        launcher.wait_for("parent is ready again.")
        launcher.wait_for("child pid", times=4)
        others = [pid for pid in descendants(launcher.process.pid) if pid in first]
        assert sum(is_alive(pid) for pid in others) <= 2  # `other` and its sleep.

        assert launcher.finish(signal.SIGTERM) == 0
    assert "grandchild" in launcher.text
    assert not any(map(is_alive, first))


def test_child_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    body = f"""
        keeper.start(shell("other", {_POLITE!r}), shell("weak", "echo try; sleep 0.1; exit 3"))
        keeper.wait()
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.finish()

    assert launcher.text.count("weak     | try") == 6
    launcher.wait_for("weak exited with code 3; restarting it", times=5)
    launcher.wait_for("failed: weak exited with code 3; it was restarted 5 times within 60 s")
    launcher.wait_for("other    | bye")


def test_old_restarts_are_forgotten(tmp_path: Path) -> None:
    body = """
        supervisor.RESTARTS_WITHIN_SECONDS = 0.2
        keeper.start(shell("weak", "echo try; sleep 0.15; exit 3"))
        keeper.wait()
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.wait_for("try", times=8)
        assert launcher.finish(signal.SIGTERM) == 0
    assert "failed" not in launcher.text


def test_child_that_dies_while_starting_is_not_restarted(tmp_path: Path) -> None:
    body = f"""
        keeper.start(shell("other", {_POLITE!r}))
        keeper.start(shell("weak", "echo reason; exit 3", is_ready=lambda pid: False))
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.finish()

    launcher.wait_for("weak     | reason")
    launcher.wait_for("failed: weak exited with code 3 while starting; what it said is above.")
    assert launcher.text.count("reason") == 1
    assert "restarting" not in launcher.text


def test_child_that_is_never_ready_is_named(tmp_path: Path) -> None:
    body = f"""
        slow = shell("slow", {_POLITE!r}, is_ready=lambda pid: False, readiness="slow (says yes)")
        keeper.start(slow, shell("quick", {_POLITE!r}), timeout_seconds=3)
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.finish()

    launcher.wait_for("failed: Not ready after 3 s: slow (says yes).")
    launcher.wait_for("bye", times=2)


def test_readiness_is_asked_until_it_is_there(tmp_path: Path) -> None:
    body = """
        script = "sleep 0.3; echo > flag; sleep 60"
        keeper.start(shell("slow", script, is_ready=lambda pid: Path("flag").exists()))
        keeper.say("ready now")
        keeper.wait()
    """
    with launched(_script(tmp_path, body), cwd=tmp_path, PYTHONPATH=str(CHECKOUT)) as launcher:
        launcher.wait_for("ready now")
        assert (tmp_path / "flag").exists()
        assert launcher.finish(signal.SIGTERM) == 0
    assert "again" not in launcher.text


def test_job_that_fails_or_is_interrupted(tmp_path: Path) -> None:
    with launched(_script(tmp_path, 'keeper.run(shell("job", "echo why; exit 4"))')) as launcher:
        launcher.finish()
    launcher.wait_for("failed: job exited with code 4; what it said is above.")

    with launched(_script(tmp_path, f'keeper.run(shell("job", {_POLITE!r}))')) as launcher:
        launcher.wait_for("hello")
        assert launcher.finish(signal.SIGINT) == 0
    launcher.wait_for("job      | bye")


def test_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    body = """
        keeper.start(Process(name="lost", argv=["/no/such"], env={}, cwd=Path.cwd()))
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.finish()
    launcher.wait_for("failed: Cannot start lost (/no/such)")


def test_second_request_ends_by_force(tmp_path: Path) -> None:
    body = f"""
        keeper.start(shell("polite", {_POLITE!r}), shell("stubborn", {_STUBBORN!r}))
        keeper.wait()
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.wait_for("hello", times=2)
        launcher.process.send_signal(signal.SIGINT)
        launcher.wait_for("Stopping.")
        family = descendants(launcher.process.pid)
        time.sleep(SAME_WISH_SECONDS)

        launcher.finish(signal.SIGINT)

    assert launcher.lines[-1] == "forced"
    assert "bye" not in launcher.text
    assert not any(map(is_alive, family))


def test_one_wish_that_arrives_twice_is_one(tmp_path: Path) -> None:
    body = f"""
        keeper.start(shell("polite", {_POLITE!r}))
        keeper.wait()
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.wait_for("hello")
        launcher.process.send_signal(signal.SIGTERM)
        launcher.process.send_signal(signal.SIGINT)

        launcher.finish()

    assert launcher.lines[-1] != "forced"
    assert "bye" in launcher.text


def test_stubborn_child_is_ended_by_force_in_the_end(tmp_path: Path) -> None:
    body = f"""
        keeper.start(shell("stubborn", {_STUBBORN!r}, stop_timeout_seconds=0.2))
        keeper.wait()
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.wait_for("hello")
        assert launcher.finish(signal.SIGTERM) == 0

    launcher.wait_for("stubborn does not stop; ending it by force.")
    assert launcher.lines[-1] == "over"


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    body = f"""
        keeper.start(shell("one", {_POLITE!r}), shell("two", "exec sleep 300"))
        keeper.wait()
    """
    with launched(_script(tmp_path, body)) as launcher:
        launcher.wait_for("hello")
        family = descendants(launcher.process.pid)
        assert len(family) >= 2

        launcher.process.kill()

        wait_until(lambda: not any(map(is_alive, family)), lambda: "children live on")


def test_supervisor_stops_when_nobody_reads_it_any_more(tmp_path: Path) -> None:
    body = """
        keeper.start(shell("noisy", "while :; do echo noise; sleep 0.05; done"))
        keeper.wait()
    """
    with subprocess.Popen(
        [sys.executable, _script(tmp_path, body)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as launcher:
        assert launcher.stdout is not None
        assert launcher.stderr is not None
        launcher.stdout.readline()
        launcher.stdout.close()

        assert launcher.wait(30) == 0
        assert launcher.stderr.read() == b""


def test_hangup_ignored_by_nohup_stays_ignored(tmp_path: Path) -> None:
    body = f"""
        keeper.start(shell("polite", {_POLITE!r}))
        keeper.wait()
    """
    script = Path(_script(tmp_path, body))
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    script.write_text(ignoring + script.read_text())
    with launched(str(script)) as launcher:
        launcher.wait_for("hello")
        launcher.process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            launcher.process.wait(0.5)
        assert launcher.finish(signal.SIGTERM) == 0
