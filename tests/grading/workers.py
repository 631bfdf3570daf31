"""A server like the lab's: six forked workers; /crash ends one with status 0, and the parent starts it no
more.

    workers.py FIRST_PORT [SECONDS]

SECONDS is how long a worker goes on after it answered /crash.
Standard library only: tests run where tornado is not installed. Its parent behaves like tornado's: a child
that ends with status 0 is gone for good, one that is killed is started again, and with the last child the
parent ends.
"""

from __future__ import annotations

import os
import socket
import sys
import threading


def work(first: int, number: int, linger: float) -> None:
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    link.bind(("127.0.0.1", first + number))
    link.listen(64)
    while True:
        client, _ = link.accept()
        threading.Thread(target=serve, args=(client, number, linger), daemon=True).start()


def serve(client: socket.socket, number: int, linger: float) -> None:
    with client:
        request = client.recv(4096).decode("latin-1")
        crash = request.startswith("GET /crash ")
        body = f"Crashing ID {number}!\n" if crash else f"Hello, I am ID {number}\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        if "100-continue" in request.lower():  # the client has a body, and waits to be asked for it
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            client.recv(4096)
        if request:
            client.sendall((head + body).encode())
    if crash:
        threading.Timer(linger, os._exit, (0,)).start()


def main(first: int, linger: float) -> None:
    children: dict[int, int] = {}

    def start(number: int) -> None:
        pid = os.fork()
        if pid == 0:
            work(first, number, linger)
        children[pid] = number

    for number in range(6):
        start(number)
    while children:
        pid, status = os.wait()
        number = children.pop(pid)
        if os.WIFSIGNALED(status):
            start(number)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.05)
