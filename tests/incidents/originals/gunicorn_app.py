# Incident 3 as it happened: an application for gunicorn that is large when loaded, and tells which worker did what.
import mmap
import os
import time

BALLAST_BYTES = 30_000_000
ballast = os.urandom(1000) * (BALLAST_BYTES // 1000)
worked = mmap.mmap(-1, 1)  # number of requests for /work that were begun


def block():
    end = time.monotonic() + 1
    while time.monotonic() < end:  # not sleep(): gevent would take that as leave to serve others
        pass
    return 'blocked'


def work():
    worked[0] += 1
    return 'worked'


ROUTES = {
    '/pid': lambda: str(os.getpid()),
    '/block': block,
    '/work': work,
    '/worked': lambda: str(worked[0]),
}


def app(environ, start_response):
    body = (ROUTES[environ['PATH_INFO']]() + '\n').encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
