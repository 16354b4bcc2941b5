"""uWSGI and apache2 with mod_wsgi, as Debian has them, serving wsgi_app.py; both end with the test."""
import json
import os
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import standing  # noqa: E402

MODULES = "/usr/lib/apache2/modules"
LIMIT = 20.0


def open_directory(test):
    """A scratch directory that a server's own user may enter, with the application in it."""
    directory = harness.scratch(test)
    os.chmod(directory, 0o755)
    application = os.path.join(directory, "wsgi_app.py")
    shutil.copy(os.path.join(harness.TARGETS, "wsgi_app.py"), application)
    os.chmod(application, 0o644)
    return directory, application


def end_family(process, log):
    """Ends a server by SIGTERM to its first process; what is left of it then is killed, each by its own pid."""
    family = standing.children(process.pid) if process.poll() is None else []
    family += [child for member in family for child in _children_of_stranger(member)]
    process.terminate()
    try:
        process.wait(LIMIT / 2)
    except subprocess.TimeoutExpired:
        pass
    for pid in family:
        harness.end_stranger(pid)
    harness.end(process)
    log.close()


def _children_of_stranger(pid):
    try:
        return standing.children(pid)
    except OSError:
        return []


class Server:
    """A server and the requests that are inside its application."""

    def __init__(self, test, command, address, directory):
        self.test, self.address = test, address
        self.inbox_path = os.path.join(directory, "inbox")
        self.inbox = socket.socket(socket.AF_UNIX)
        test.addCleanup(self.inbox.close)
        self.inbox.bind(self.inbox_path)
        os.chmod(self.inbox_path, 0o777)
        self.inbox.listen(16)
        self.inbox.settimeout(LIMIT)
        self.log_path = os.path.join(directory, "log")
        log = open(self.log_path, "wb")
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)
        except FileNotFoundError as error:
            raise AssertionError("%s; tools/setup test installs it" % error) from None
        test.addCleanup(end_family, self.process, log)
        self.pid = self.process.pid

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def connect(self):
        """A connection, once the server listens."""
        def try_it():
            self.test.assertIsNone(self.process.poll(), "the server ended: %s" % self.log())
            client = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
            client.settimeout(LIMIT)
            try:
                client.connect(self.address)
            except OSError:
                client.close()
                return None
            return client
        return harness.wait_until(try_it, LIMIT, "the server listens")

    def request(self):
        """A request that is inside the application, which has said where."""
        client = self.connect()
        self.test.addCleanup(client.close)
        client.sendall(b"GET /?socket=%s HTTP/1.0\r\n\r\n" % self.inbox_path.encode())
        try:
            application, _ = self.inbox.accept()
        except socket.timeout:
            raise AssertionError("the application was not called: %s" % self.log()) from None
        self.test.addCleanup(application.close)
        application.settimeout(LIMIT)
        return Request(client, application)


class Request:
    def __init__(self, client, application):
        self.client, self.application = client, application
        facts = json.loads(application.makefile("rb").readline())
        self.pid, self.tid = facts["pid"], facts["tid"]
        self.frames = standing.frame_texts(facts["stack"])

    def finish(self):
        """Lets the application go on; the status line of the answer."""
        self.application.sendall(b"x")
        with self.client.makefile("rb") as answer:
            lines = answer.read().splitlines()
        return lines[0]


class Uwsgi(Server):
    def __init__(self, test, *options):
        directory, application = open_directory(test)
        address = os.path.join(directory, "http")
        super().__init__(test, ["uwsgi-core", "--plugin", "python3", "--http-socket", address, "--wsgi-file", application,
                                "--need-app", "--die-on-term", *options], address, directory)


_APACHE = """
ServerRoot {directory}
ServerName localhost
PidFile {directory}/pid
ErrorLog {directory}/log
User {user}
Group {group}
Mutex file:{directory}
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
StartServers 1
ServerLimit 1
ThreadsPerChild 4
MaxRequestWorkers 4
WSGISocketPrefix {directory}/wsgi
WSGIDaemonProcess app processes=1 threads=2
WSGIProcessGroup app
WSGIApplicationGroup {application_group}
WSGIScriptAlias / {application}
<Directory />
  Require all granted
</Directory>
"""


class Apache(Server):
    """apache2 with mod_wsgi in daemon mode; a named application group is a subinterpreter."""

    def __init__(self, test, application_group):
        directory, application = open_directory(test)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = os.path.join(directory, "apache2.conf")
        with open(config, "w") as file:
            file.write(_APACHE.format(directory=directory, port=port, modules=MODULES, application=application,
                                      application_group=application_group, user="www-data", group="www-data"))
        test.assertTrue(os.path.exists(MODULES + "/mod_wsgi.so"), "no mod_wsgi; tools/setup test installs it")
        super().__init__(test, ["/usr/sbin/apache2", "-f", config, "-DFOREGROUND"], ("127.0.0.1", port), directory)
