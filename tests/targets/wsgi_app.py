"""A WSGI application that says where it stands, over the Unix socket that the request names, and waits there."""
import json
import os
import socket
import sys
import threading
import urllib.parse


if "WSGI_APP_THREAD" in os.environ:  # as monitoring agents have one from the import on
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def stack(frame):
    frames = []
    while frame:
        code = frame.f_code
        frames.append([code.co_qualname, code.co_filename, frame.f_lineno])
        frame = frame.f_back
    return frames[::-1]


def tell(connection):
    facts = {"pid": os.getpid(), "tid": threading.get_native_id(), "stack": stack(sys._getframe(1))}
    connection.sendall(json.dumps(facts).encode() + b"\n")


class Handler:
    def handle(self, path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            return tell(connection), connection.recv(1)


def answer(paths):
    return "".join(str(Handler().handle(path)) for path in paths)


def application(environ, start_response):
    paths = urllib.parse.parse_qs(environ["QUERY_STRING"])["socket"]
    body = answer(paths).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
