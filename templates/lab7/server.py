#!/usr/bin/env python3
"""Six small web servers for the load balancing part of the lab.

    python3 server.py

starts one parent and six workers, on 127.0.0.1 ports 8080 to 8085. Each worker knows its number:

    GET /         "Hello, I am ID 3"
    GET /crash    "Crashing ID 3!", and that worker ends

A worker that crashes itself ends with status 0 and stays away until the whole program is started
again. One that is killed by a signal is replaced by the parent, up to a hundred times.
"""

import asyncio
import os

import tornado.ioloop
import tornado.process
import tornado.web

WORKERS = 6
ADDRESS = "127.0.0.1"
FIRST_PORT = 8080


class Hello(tornado.web.RequestHandler):
    """Says which worker answers."""

    def initialize(self, number):
        self.number = number

    def get(self):
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write("Hello, I am ID %d\n" % self.number)


class Crash(tornado.web.RequestHandler):
    """Answers, then ends its worker."""

    def initialize(self, number):
        self.number = number

    def get(self):
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Connection", "close")
        self.write("Crashing ID %d!\n" % self.number)

    def on_finish(self):
        # A moment later, so that the answer has left before its sender is gone.
        tornado.ioloop.IOLoop.current().call_later(0.05, os._exit, 0)


async def serve(number):
    application = tornado.web.Application(
        [("/", Hello, {"number": number}), ("/crash", Crash, {"number": number})]
    )
    application.listen(FIRST_PORT + number, ADDRESS)
    await asyncio.Event().wait()


def main():
    # The parent stays in fork_processes and watches; each worker returns from it with its number.
    number = tornado.process.fork_processes(WORKERS, max_restarts=100)
    asyncio.run(serve(number))


if __name__ == "__main__":
    main()
