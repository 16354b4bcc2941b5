"""uWSGI and mod_wsgi: a worker's stacks are those that the application inside it says."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import not_run  # noqa: E402
import servers  # noqa: E402


class Servers(unittest.TestCase):
    def sample(self, pid, *options, expect=harness.OK):
        return harness.run_sampler(self, "-p", pid, "--full-paths", *options, expect=expect)

    def assert_inside(self, requests, *outer):
        """All requests of a process, and nothing else, are seen where they say, below the frames `outer`."""
        run = self.sample(requests[0].pid, "-s", "0", "--threads")
        stacks = {tid: [stack.frames for stack in stacks] for tid, stacks in harness.stacks_by_thread(run).items()}
        self.assertEqual(stacks, {request.tid: [tuple(outer) + request.frames] for request in requests}, str(run))
        harness.assert_accounts(self, run)
        harness.assert_not_held(self, requests[0].pid)

    def assert_finished(self, requests):
        for request in requests:
            self.assertRegex(request.finish(), rb"^HTTP/1\.[01] 200 ")

    def assert_nothing_inside(self, pid):
        """No Python code runs, and that is said."""
        run = self.sample(pid, "-s", "0.1", expect=harness.NO_STACK)
        self.assertIn("no thread had a Python stack", run.errors)
        self.assertEqual(run.summary.failed, 0, str(run))


class Uwsgi(Servers):
    def test_the_workers_threads_stand_where_the_application_says(self):
        server = servers.Uwsgi(self, "--master", "--processes", "2", "--enable-threads", "--threads", "4")
        requests = [server.request() for _ in range(6)]
        workers = {request.pid for request in requests}
        self.assertTrue(server.pid not in workers and workers, "the master serves nothing")
        for worker in workers:
            self.assert_inside([request for request in requests if request.pid == worker])
        self.assert_nothing_inside(server.pid)
        self.assert_finished(requests)
        for worker in workers:
            self.assert_nothing_inside(worker)

    def test_a_worker_that_never_made_a_thread_stands_where_the_application_says(self):
        server = servers.Uwsgi(self, "--master", "--processes", "1")
        request = server.request()
        self.assertNotEqual(request.pid, server.pid)
        self.assert_inside([request])
        self.assert_nothing_inside(server.pid)
        self.assert_finished([request])
        # It waits for requests without giving up the GIL.
        self.assert_nothing_inside(request.pid)

    def test_a_thread_that_the_master_has_made_is_none_of_a_workers(self):
        """uWSGI tells Python of its forks only where --enable-threads is given."""
        server = servers.Uwsgi(self, "--master", "--processes", "1", "--env", "WSGI_APP_THREAD=1")
        request = server.request()
        self.assertEqual(len(harness.tasks(request.pid)), 1)
        self.assert_inside([request])
        run = self.sample(request.pid, "-s", "0.1")
        self.assertIn("left out: 1 thread state that names no thread of the process (", run.errors)
        self.assert_finished([request])

    def test_a_single_process_without_a_master(self):
        server = servers.Uwsgi(self)
        request = server.request()
        self.assertEqual(request.pid, server.pid)
        self.assert_inside([request])
        self.assert_finished([request])


class ModWsgi(Servers):
    def setUp(self):
        not_run.need_other_users(self)

    def test_an_application_in_a_subinterpreter_stands_where_it_says(self):
        server = servers.Apache(self, "%{RESOURCE}")
        requests = [server.request(), server.request()]
        self.assertEqual(len({request.pid for request in requests}), 1, "one daemon process")
        self.assert_inside(requests, b"<interpreter 1>")
        # Many readings: no stack is ever mixed up with that of the main interpreter.
        run = self.sample(requests[0].pid, "-s", "0.3", "--hz", "1000")
        self.assertEqual({stack.frames for stack in run.folded}, {(b"<interpreter 1>",) + requests[0].frames}, str(run))
        self.assertEqual(run.summary.failed, 0, str(run))
        self.assert_finished(requests)
        self.assert_nothing_inside(requests[0].pid)

    def test_an_application_in_the_main_interpreter_stands_where_it_says(self):
        server = servers.Apache(self, "%{GLOBAL}")
        request = server.request()
        self.assert_inside([request])
        self.assert_finished([request])

    def test_apache_itself_names_its_python_processes(self):
        server = servers.Apache(self, "%{GLOBAL}")
        request = server.request()
        run = self.sample(server.pid, "-s", "0", expect=harness.NOT_PYTHON)
        self.assertIn("has Python 3.11, which has not been initialised", run.errors)
        self.assertRegex(run.errors, r"it has started Python processes:[ 0-9]* %d\b" % request.pid)
        self.assert_finished([request])


if __name__ == "__main__":
    unittest.main(verbosity=2)
