"""A TCP proxy between a client and a server that can misbehave on demand.

Directions are "up" (client to server) and "down" (server to client). Per direction each connection
has one thread that reads into a queue and one that writes out of it, so that holding back does not
stop reading: what the client has sent is then in the proxy, as it would be in a network.

What it can do, for all connections, those to come included:
    delay(seconds)      pass everything on, later
    throttle(rate)      pass on at most so many bytes a second on each connection
    hold() / release()  keep what arrives, pass nothing on / pass it on
    stall() / resume()  stop reading too: the sender's buffers fill up
    trap(pattern)       hold one connection from the first chunk on that contains these bytes (not
                        under TLS); the others, and those to come, go on
    cut()               reset all connections; cut_after(n): once n bytes have passed from now on
    half_close()        end one direction properly, the other one stays
    refuse()            answer new connections with a reset
    orphan()            when a client dies, keep its server connection and what is queued for it:
                        a killed client whose last bytes still reach the server

Not here: reordering, loss or duplication of bytes; TCP has none of these.
"""

import collections
import contextlib
import socket
import struct
import threading
import time

UP, DOWN = "up", "down"
CHUNK = 64 * 1024
QUEUE_LIMIT = 8 * 1024 * 1024  # when not holding: back-pressure as in a real connection


def _reset(sock):
    """Closes with RST rather than FIN."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)
    with contextlib.suppress(OSError):
        sock.close()


class _Lane:
    """One direction of one connection: a queue, a thread that fills and one that empties it."""

    def __init__(self, link, direction, source, sink):
        self.link = link
        self.direction = direction
        self.source = source
        self.sink = sink
        self.queue = collections.deque()  # (time of arrival, bytes); None at the end of the stream
        self.queued = 0
        self.held = False
        self.ended = False
        self.finished = False

    def start(self):
        for work in (self._read, self._write):
            threading.Thread(target=work, daemon=True).start()

    def _read(self):
        proxy, rules = self.link.proxy, self.link.proxy.rules[self.direction]
        while True:
            with proxy.changed:
                proxy.changed.wait_for(
                    lambda: self.link.closed or not rules.stalled
                    and (rules.held or self.held or self.queued < QUEUE_LIMIT))
                if self.link.closed:
                    return
            try:
                data = self.source.recv(CHUNK)
            except OSError:
                data = b""
            with proxy.changed:
                if rules.trap and rules.trap in data:
                    self.held, rules.trap = True, None
                    rules.sprung.set()
                self.queue.append((time.monotonic(), data or None))
                self.queued += len(data)
                proxy.passed_in[self.direction] += len(data)
                proxy.changed.notify_all()
                if not data:
                    self.ended = True
                    return

    def _write(self):
        proxy, rules = self.link.proxy, self.link.proxy.rules[self.direction]
        while True:
            with proxy.changed:
                proxy.changed.wait_for(
                    lambda: self.link.closed
                    or self.queue and not rules.held and not self.held)
                if self.link.closed:
                    return
                arrived, data = self.queue[0]
                due = arrived + rules.delay - time.monotonic()
                if due > 0:
                    proxy.changed.wait(due)
                    continue
                self.queue.popleft()
            if data is None:
                self._end()
                return
            if not self._pass_on(data, rules):
                return
            if rules.rate:
                time.sleep(len(data) / rules.rate)

    def _pass_on(self, data, rules):
        with self.link.proxy.changed:
            if rules.budget is not None:
                allowed, rules.budget = data[: rules.budget], max(0, rules.budget - len(data))
                exhausted = rules.budget == 0
                data = allowed
            else:
                exhausted = False
        try:
            self.sink.sendall(data)
        except OSError:
            self.link.lost(self)
            return False
        with self.link.proxy.changed:
            self.queued -= len(data)
            self.link.proxy.passed[self.direction] += len(data)
            self.link.proxy.changed.notify_all()
        if exhausted:
            with self.link.proxy.changed:
                rules.budget = None
            self.link.close()
            return False
        return True

    def _end(self):
        """The sender is done: tell the receiver, unless the client died and shall seem alive."""
        self.finished = True
        if self.direction == UP and self.link.proxy.orphaning:
            return
        with contextlib.suppress(OSError):
            self.sink.shutdown(socket.SHUT_WR)
        self.link.lane_finished()


class _Link:
    """One client connection and its server connection."""

    def __init__(self, proxy, client, server):
        self.proxy = proxy
        self.client = client
        self.server = server
        self.closed = False
        self.up = _Lane(self, UP, client, server)
        self.down = _Lane(self, DOWN, server, client)

    def start(self):
        self.up.start()
        self.down.start()

    def lost(self, lane):
        """Writing failed: the receiver is gone."""
        if lane is self.down and self.proxy.orphaning:
            # the client is dead; go on emptying the server's side so that it never blocks on us
            threading.Thread(target=self._drain, daemon=True).start()
            return
        self.close()

    def _drain(self):
        while not self.closed:
            with self.proxy.changed:
                self.down.queue.clear()
                self.down.queued = 0
                self.proxy.changed.notify_all()
                if self.down.ended:
                    break
            time.sleep(0.02)
        self.close()

    def lane_finished(self):
        if self.up.finished and self.down.finished:
            self.close()

    def close(self):
        with self.proxy.changed:
            if self.closed:
                return
            self.closed = True
            self.proxy.links.discard(self)
            self.proxy.changed.notify_all()
        _reset(self.client)
        _reset(self.server)


class _Rules:
    def __init__(self):
        self.delay = 0.0
        self.rate = None
        self.held = False
        self.stalled = False
        self.trap = None
        self.sprung = threading.Event()
        self.budget = None


class Proxy:
    """Listens on 127.0.0.1:port (chosen if 0) and connects to host:target_port.

    passed[direction] counts the bytes handed on, passed_in[direction] those taken.
    """

    def __init__(self, target_port, host="127.0.0.1", port=0):
        self.target = (host, target_port)
        self.rules = {UP: _Rules(), DOWN: _Rules()}
        self.passed = {UP: 0, DOWN: 0}
        self.passed_in = {UP: 0, DOWN: 0}
        self.links = set()
        self.accepted = 0
        self.orphaning = False
        self.refusing = False
        self.changed = threading.Condition(threading.RLock())
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._stopped or self.refusing:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self.target, timeout=10)
                server.settimeout(None)
            except OSError:
                _reset(client)
                continue
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(self, client, server)
            with self.changed:
                self.accepted += 1
                self.links.add(link)
            link.start()

    def _each(self, direction):
        return [self.rules[name] for name in ((direction,) if direction else (UP, DOWN))]

    def _set(self, direction, **values):
        with self.changed:
            for rules in self._each(direction):
                for name, value in values.items():
                    setattr(rules, name, value)
            self.changed.notify_all()

    def delay(self, seconds, direction=None):
        self._set(direction, delay=seconds)

    def throttle(self, rate, direction=None):
        self._set(direction, rate=rate)

    def hold(self, direction=None):
        self._set(direction, held=True)

    def release(self, direction=None):
        with self.changed:
            for link in self.links:
                for lane in (link.up, link.down):
                    if direction in (None, lane.direction):
                        lane.held = False
            self._set(direction, held=False)

    def stall(self, direction=None):
        self._set(direction, stalled=True)

    def resume(self, direction=None):
        self._set(direction, stalled=False)

    def trap(self, pattern, direction=UP):
        """Holds the connection that sends `pattern`, from there on. Returns an event: it has come."""
        with self.changed:
            rules = self.rules[direction]
            rules.sprung = threading.Event()
            rules.trap = pattern
            return rules.sprung

    def refuse(self, yes=True):
        self.refusing = yes

    def orphan(self, yes=True):
        self.orphaning = yes

    def cut(self):
        for link in list(self.links):
            link.close()

    def cut_after(self, count, direction=DOWN):
        self._set(direction, budget=count)

    def half_close(self, direction):
        for link in list(self.links):
            sink = link.server if direction == UP else link.client
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

    def held_bytes(self, direction=UP):
        """What is in the proxy now: taken from one side and not handed to the other."""
        with self.changed:
            return sum((link.up if direction == UP else link.down).queued for link in self.links)

    def close(self):
        self._stopped = True
        # shutdown wakes the thread in accept(); close alone does not
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
