"""A WSGI application that computes for about a millisecond and answers."""
import ctypes

# PR_SET_PDEATHSIG, SIGKILL: a worker whose gunicorn was killed would look for that only now and then.
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)


def price(item):
    return sum(part * part % 97 for part in range(item, item + 40))


def render(rows):
    return "".join("<tr><td>%d</td><td>%d</td></tr>" % row for row in rows)


def application(environ, start_response):
    rows = [(item, price(item)) for item in range(200)]
    body = ("<table>%s</table>" % render(rows)).encode()
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]
