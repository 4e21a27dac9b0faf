# Incident 1 as it happened: gevent's own HTTP server, which keeps connections alive and has no idle timeout.
from gevent.pywsgi import WSGIServer


def app(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '6')])
    return [b'hello\n']


server = WSGIServer(('127.0.0.1', 0), app, log=None)
server.start()
print(f'Listening at: http://127.0.0.1:{server.server_port}', flush=True)
server.serve_forever()
