"""Established TCP connections between all nodes of a network, and who hears whom through them."""

import ctypes
import os
import select
import socket
import threading
import time

from dokkaebi.harness.protocols import CLIENTS

_CLONE_NEWNET = 0x40000000


def make_socket(site=None):
    """A TCP socket of that place on the network; ours without one."""
    if site is None or not site.enter:
        return socket.socket()
    made = []

    def there():
        (place,) = (word[6:] for word in site.enter if word.startswith("--net="))
        namespace = os.open(place, os.O_RDONLY)
        try:
            # Of this thread alone, which ends; the socket stays where it was made.
            if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.socket())
        finally:
            os.close(namespace)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    return made[0]


class Wires:
    """A listener at every node, and a connection from everybody to every other node."""

    def __init__(self, network, names, port_of):
        self.network = network
        self.sites = {CLIENTS: None, **{name: network.site(name) for name in names}}
        self.listeners = {}
        self.senders = {}
        self.receivers = {}
        for name in names:
            listener = make_socket(self.sites[name])
            port = port_of(name)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.sites[name].listen, port))
            listener.listen(64)
            self.listeners[name] = listener
            network.node(name, port)
        for target in names:
            for source in self.sites:
                if source != target:
                    self.connect(source, target)

    def connect(self, source, target):
        sender = make_socket(self.sites[source])
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sender.connect(self.network.address(source, target))
        self.senders[source, target] = sender
        receiver, _ = self.listeners[target].accept()
        receiver.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.receivers[source, target] = receiver

    @property
    def pairs(self):
        """All directions in which somebody speaks."""
        return set(self.senders) | {(target, source) for source, target in self.senders}

    def say(self, word):
        """Everybody says the word to everybody: on his own connections, and as an answer on others'."""
        for ends in (self.senders, self.receivers):
            for end in ends.values():
                end.sendall(word)

    def listen(self, seconds, word, *, until=None):
        """The directions in which the word arrived within that time, or as soon as all of these did.

        Where two connections speak in the same direction it must have arrived on both.
        """
        ends = {end: (source, target) for (source, target), end in self.receivers.items()}
        ends |= {end: (target, source) for (source, target), end in self.senders.items()}
        texts = dict.fromkeys(ends, b"")
        deadline = time.monotonic() + seconds
        silent = set(self.pairs)
        while (left := deadline - time.monotonic()) > 0 and (until is None or until & silent):
            for end in select.select(list(ends), [], [], left)[0]:
                texts[end] += end.recv(1 << 16)
            silent = {ends[end] for end, text in texts.items() if word not in text}
        return self.pairs - silent

    def close(self):
        for ends in (self.listeners, self.senders, self.receivers):
            for end in ends.values():
                end.close()
