"""What can go wrong from outside, one function each: they act on a World and say what they did.

A fault is over when its function returns: servers run again, the proxies pass everything on (but for
the throttle that makes a copy last), and a worker runs or is about to connect again by itself.
"""

import signal
import time

import psycopg

from pgtest.proxy import DOWN, UP
from pgtest.sluice import DONE, FAILED

SIDES = ("source", "destination")


def _kill(world, rng):
    world.worker.kill()
    world.rest(rng.choice((0, 0, rng.uniform(0, 2))))
    world.worker.start()
    return "kill -9"


def _kill_with_late_bytes(world, rng):
    """What the dead worker sent reaches the destination while its successor is at work."""
    proxy = world.proxies["destination"]
    proxy.orphan()
    if rng.random() < 0.5:
        proxy.hold(UP)
        world.rest(rng.uniform(0.02, 0.6))
    else:
        proxy.trap(b"COMMIT", UP).wait(5)
    world.worker.kill()
    proxy.rules[UP].trap = None
    # the successor's own connections must pass: only those that are there now stay held
    with proxy.changed:
        for link in proxy.links:
            link.up.held = True
        proxy.rules[UP].held = False
        proxy.changed.notify_all()
    world.worker.start()
    world.rest(rng.uniform(0, 3))
    proxy.release()
    world.rest(0.5)
    proxy.orphan(False)
    return "kill -9, its last bytes arrive later"


def _interrupt(world, rng):
    finished = world.worker.interrupt()
    assert finished.code == DONE, f"after Ctrl-C: {finished!r}"
    world.rest(rng.uniform(0, 1))
    world.worker.start()
    return "Ctrl-C"


def _takeover(world, rng):
    """A second worker takes over; the first may be standing still just then."""
    frozen = rng.random() < 0.5
    first = world.worker.running
    if frozen:
        first.send(signal.SIGSTOP)
    world.worker.start("--takeover")
    world.rest(rng.uniform(0, 3))
    if frozen:
        first.send(signal.SIGCONT)
    finished = first.wait(60)
    assert finished.code == FAILED, f"the worker that lost its task: {finished!r}"
    return "take-over from a frozen worker" if frozen else "take-over"


def _freeze(world, rng):
    first = world.worker.running
    first.send(signal.SIGSTOP)
    try:
        time.sleep(rng.uniform(0.5, 4))
    finally:
        first.send(signal.SIGCONT)
    return "worker frozen"


def _server(side, how):
    def fault(world, rng):
        cluster = world.clusters[side]
        if how == "kill9":
            cluster.kill9()
        else:
            cluster.stop(how, timeout=180)  # the source's waits until all is sent
        time.sleep(rng.choice((0, rng.uniform(0, 3))))
        cluster.start()
        return f"{side}: {how} shutdown" if how != "kill9" else f"{side}: kill -9 of the server"
    return fault


def _server_and_worker(side):
    def fault(world, rng):
        world.clusters[side].stop("immediate")
        world.worker.kill()
        world.clusters[side].start()
        world.worker.start()
        return f"{side}: immediate shutdown, and kill -9"
    return fault


def _cut(side):
    def fault(world, rng):
        world.proxies[side].cut()
        return f"{side}: connections cut"
    return fault


def _cut_one(side):
    def fault(world, rng):
        links = sorted(world.proxies[side].links, key=lambda link: link.server.fileno())
        if links:
            rng.choice(links).close()
        return f"{side}: one of {len(links)} connections cut"
    return fault


def _cut_after(side):
    def fault(world, rng):
        count, direction = int(10 ** rng.uniform(0.5, 5)), rng.choice((UP, DOWN))
        proxy = world.proxies[side]
        proxy.cut_after(count, direction)
        world.rest(rng.uniform(0.2, 2))
        proxy.rules[direction].budget = None
        return f"{side}: a connection cut after {count} bytes {direction}"
    return fault


def _half_close(side):
    def fault(world, rng):
        direction = rng.choice((UP, DOWN))
        world.proxies[side].half_close(direction)
        return f"{side}: half closed {direction}"
    return fault


def _refuse(side):
    def fault(world, rng):
        proxy = world.proxies[side]
        proxy.refuse()
        proxy.cut()
        world.rest(rng.uniform(0.5, 4))
        proxy.refuse(False)
        return f"{side}: cut and refused"
    return fault


def _delay(side):
    def fault(world, rng):
        proxy, seconds = world.proxies[side], rng.choice((0.01, 0.1, 0.5))
        proxy.delay(seconds)
        world.rest(rng.uniform(1, 4))
        proxy.delay(0)
        return f"{side}: delay of {seconds} s"
    return fault


def _stall(side):
    def fault(world, rng):
        proxy, direction, cut = world.proxies[side], rng.choice((UP, DOWN, None)), rng.random() < 0.5
        proxy.stall(direction)
        world.rest(rng.uniform(0.5, 4))
        if cut:
            proxy.cut()
        proxy.resume(direction)
        return f"{side}: stalled {direction or 'both ways'}" + (" and cut" if cut else "")
    return fault


def _terminate(side):
    def fault(world, rng):
        sessions = world.databases[side].sql(
            "SELECT pid, backend_type FROM pg_stat_activity WHERE application_name LIKE 'pgsluice%' ORDER BY 2, 1")
        if not sessions:
            return f"{side}: no session to end"
        pid, kind = rng.choice(sessions)
        world.databases[side].sql("SELECT pg_terminate_backend(%s)", [pid])
        return f"{side}: a session ({kind}) ended"
    return fault


def _cancel(world, rng):
    """pg_cancel_backend, as an administrator or a statement timeout would."""
    sessions = world.databases["destination"].sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgsluice%' AND state <> 'idle' ORDER BY 1")
    for (pid,) in sessions:
        world.databases["destination"].sql("SELECT pg_cancel_backend(%s)", [pid])
    return f"destination: {len(sessions)} statements cancelled"


def _lock(world, rng):
    """Somebody else locks some of the destination's tables for a while."""
    tables = rng.sample(world.schema.selected(), 4)
    seconds = rng.uniform(0.5, 3)
    try:
        with world.databases["destination"].connect(socket=True, options="-c lock_timeout=3s") as connection:
            connection.execute("BEGIN")
            for table in tables:
                connection.execute(f"LOCK TABLE {table.sql} IN ACCESS EXCLUSIVE MODE")
            world.rest(seconds)
            connection.execute("ROLLBACK")
    except psycopg.Error as error:
        return f"destination: no lock ({error.sqlstate})"
    return f"destination: tables locked for {seconds:.1f} s"


# (kind, weight, function): the kinds are what the statistics count
FAULTS = [("kill -9", 6, _kill), ("late bytes", 3, _kill_with_late_bytes), ("interrupt", 2, _interrupt),
          ("freeze", 1, _freeze), ("take-over", 2, _takeover), ("cancel", 1, _cancel), ("lock", 1, _lock)]
for _side in SIDES:
    FAULTS += [(f"{_side} immediate", 3, _server(_side, "immediate")), (f"{_side} kill -9", 1, _server(_side, "kill9")),
               (f"{_side} fast", 1, _server(_side, "fast")), (f"{_side} and worker", 1, _server_and_worker(_side)),
               (f"{_side} cut", 2, _cut(_side)), (f"{_side} cut one", 2, _cut_one(_side)),
               (f"{_side} cut after", 2, _cut_after(_side)), (f"{_side} half closed", 1, _half_close(_side)),
               (f"{_side} refused", 1, _refuse(_side)), (f"{_side} delay", 1, _delay(_side)),
               (f"{_side} stall", 1, _stall(_side)), (f"{_side} terminate", 2, _terminate(_side))]
# worth the name inside a copy: what ends a connection or the worker
IN_COPY = [fault for fault in FAULTS if fault[0] not in (
    "freeze", "take-over", "cancel", "lock", "source delay", "destination delay")]


def choose(rng, kinds):
    kind, _, function = rng.choices(kinds, [weight for _, weight, _ in kinds])[0]
    return kind, function
