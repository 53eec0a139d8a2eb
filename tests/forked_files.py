"""Runs the tests of each file in a fork of a worker of xdist's, which has loaded TensorFlow and runs nothing of it.

What tests leave in memory ends with their file: compiled operations, which TensorFlow never frees, settings, caches. So
no worker grows from file to file, and no file finds what another has left.
"""

import os
import signal
import warnings
from multiprocessing import Pipe

import pytest
from _pytest.runner import runtestprotocol

from lctrain.devices.runtime import find_started
from lctrain.system.fork_client import keep
from lctrain.system.signals import leave

ANSWER_SECONDS = 10  # in which a test whose time is over should have ended


class FileRunner:
    """A plugin that takes the place of pytest's own way to run a test; it keeps the server for all files."""

    def __init__(self, config, server):
        self._hook, self._config, self._server = config.hook, config, server
        self._path = self._pid = self._connection = self._reports = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self):
        with keep(self._server):
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item, nextitem):
        if self._pid == 0:
            self._reports = runtestprotocol(item, log=False, nextitem=nextitem)
            return True
        if item.path != self._path:
            self._start(item)
        is_last = nextitem is None or nextitem.path != item.path
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._run(item, None if is_last else nextitem):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        if is_last:
            self._end()
        return True

    def _start(self, item):
        assert not find_started(), f"{find_started()}: some test file does so when it is imported"
        self._path = item.path
        self._config._tmp_path_factory.getbasetemp()  # else each fork would empty it
        self._connection, other = Pipe()
        with warnings.catch_warnings():
            # Of Python 3.12 and later: xdist's threads wait for what the controller says, and hold no lock meanwhile.
            warnings.filterwarnings("ignore", ".*use of fork.*", DeprecationWarning)
            self._pid = os.fork()
        if not self._pid:
            self._connection.close()
            self._serve(other, item.session.items)
        other.close()

    def _serve(self, connection, items):
        """Runs what it is told, as all that this process does from now on."""
        for plugin in self._config.pluginmanager.get_plugins():
            if type(plugin).__module__ == "xdist.remote":  # whose connection is the worker's
                self._config.pluginmanager.unregister(plugin)
        code = 1
        try:
            while True:
                place, next_place = connection.recv()
                nextitem = None if next_place is None else items[next_place]
                # With all that other plugins do around a test: filters of warnings, timeouts.
                self._hook.pytest_runtest_protocol(item=items[place], nextitem=nextitem)
                to_data = self._hook.pytest_report_to_serializable
                connection.send([to_data(config=self._config, report=report) for report in self._reports])
                code = 0
        except EOFError:
            pass
        finally:  # whatever comes up here must not reach the worker's own loop
            leave(code)

    def _run(self, item, nextitem):
        items = item.session.items
        call = pytest.CallInfo.from_call(lambda: self._ask(items, item, nextitem), when="call")
        if call.excinfo is None:
            from_data = self._hook.pytest_report_from_serializable
            return [from_data(config=self._config, data=data) for data in call.result]
        os.kill(self._pid, signal.SIGABRT)  # on which it writes down where it stands
        self._end()
        return [item.ihook.pytest_runtest_makereport(item=item, call=call)]

    def _ask(self, items, item, nextitem):
        self._connection.send((items.index(item), None if nextitem is None else items.index(nextitem)))
        try:
            return self._connection.recv()
        except EOFError:
            raise RuntimeError("the process of the file's tests has died") from None
        except (
            pytest.fail.Exception
        ):  # its time is over, by pytest-timeout; its process, asked a little later, knows where
            if not self._connection.poll(ANSWER_SECONDS):
                raise
            return self._connection.recv()

    def _end(self):
        if self._path is None:  # it has died
            return
        self._connection.close()
        os.waitpid(self._pid, 0)
        self._path = None
