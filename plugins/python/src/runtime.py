"""Stands between the host and a handler: imports it, keeps its context, and makes records of what it prints and logs."""
import importlib
import io
import json
import logging
import os
import signal
import sys
import traceback

# What json.dumps does by default, but for NaN and infinities, which are no JSON.
encode = json.JSONEncoder(allow_nan=False).encode
decode = json.loads
record = explain = None
forked = False


class Context:
    """What a handler knows besides its input."""


class Failed(Exception):
    """Why a call or the import of a module failed: for the host."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind, self.message = kind, message


class Handler:
    """A function and its context."""

    def __init__(self, place, about):
        self.folder, name = os.fspath(place[0]), place[1]
        module, _, function = name.rpartition(".")
        self.function = self.load(module, function)
        context = self.context = Context()
        context.host, context.port, context.input_key, context.output_key, context.function_getmtime = about
        context.plugin_dir = self.folder
        context.last_execution = context.event_id = None
        context.attempt = 1
        context.env = {}

    def load(self, module, function):
        if self.folder not in sys.path:
            sys.path.insert(0, self.folder)
        try:
            loaded = importlib.import_module(module)
        except BaseException as error:
            raise Failed("import", f"can't be imported: {self.described(error)}") from None
        found = getattr(loaded, function, None)
        if not callable(found):
            own = [name for name, value in vars(loaded).items()
                   if callable(value) and getattr(value, "__module__", None) == module]
            there_are = ", ".join(own) or "none"
            raise Failed("import", f"can't be found: {module} has no function {function!r}; there are: {there_are}")
        return found

    def call(self, data, event_id, last_execution, attempt):
        """The result as JSON, or None."""
        context = self.context
        context.event_id, context.last_execution, context.attempt = event_id, last_execution, attempt
        try:
            value = decode(data)
        except (ValueError, RecursionError) as error:
            raise Failed("input", str(error)) from None
        try:
            result = self.function(value, context)
        except BaseException as error:
            raise Failed("error", self.described(error)) from None
        finally:
            if forked:
                # Two processes would go on with one host's connections.
                os._exit(0)
        if result is None:
            return None
        try:
            return encode(result).encode()
        except Exception as error:
            raise Failed("output", explain(result) or str(error)) from None

    def load_env(self, saved):
        try:
            env = decode(saved) if saved else {}
        except (ValueError, RecursionError) as error:
            raise Failed("env", str(error)) from None
        if type(env) is not dict:
            raise Failed("env", f"context.env is a dict, and what was saved is a {type(env).__name__}")
        self.context.env = env

    def described(self, error):
        """An exception in a line, and below it its traceback from the handler's own code on."""
        told = traceback.TracebackException.from_exception(error)
        hidden = (__file__, "<frozen importlib")
        told.stack = traceback.StackSummary.from_list(
            frame for frame in told.stack
            if not frame.filename.startswith(hidden) and os.sep + "importlib" + os.sep not in frame.filename)
        summary = list(told.format_exception_only())[-1].strip()
        whole = "".join(told.format()).rstrip()
        return f"{summary}\n{whole}".replace(self.folder + os.sep, "")


class Printed(io.RawIOBase):
    """Where print writes to: each line becomes a record."""

    def __init__(self, level, name):
        self.level, self.target, self.rest = level, name, b""

    def writable(self):
        return True

    def write(self, data):
        *lines, self.rest = (self.rest + bytes(data)).split(b"\n")
        for line in lines:
            record(self.level, self.target, line.decode("utf-8", "replace"))
        return len(data)


class Logged(logging.Handler):
    """Where logging writes to."""

    LEVELS = (logging.ERROR, 1), (logging.WARNING, 2), (logging.INFO, 3), (logging.DEBUG, 4)

    def emit(self, entry):
        try:
            level = next((level for least, level in self.LEVELS if entry.levelno >= least), 5)
            record(level, entry.name, self.format(entry).encode("utf-8", "replace").decode())
        except Exception:
            self.handleError(entry)


def start(host_record, host_explain, level):
    """Begins: the host takes what is printed and logged, as far as its own level goes."""
    global record, explain
    record, explain = host_record, host_explain
    for name, severity in ("stdout", 3), ("stderr", 2):
        raw = Printed(severity, name)
        setattr(sys, name, io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True))
    root = logging.getLogger()
    root.addHandler(Logged())
    root.setLevel([logging.CRITICAL + 1, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, 1][level])
    os.register_at_fork(after_in_child=mark_as_forked)
    sys.argv = [""]
    sys.dont_write_bytecode = True
    keep_signals()


def mark_as_forked():
    global forked
    forked = True


def keep_signals():
    """The host ends in order at SIGTERM and SIGINT; the others are the handler's."""
    set_action, told = signal.signal, set()

    def guarded(number, action):
        if number not in (signal.SIGTERM, signal.SIGINT):
            return set_action(number, action)
        if number not in told:
            told.add(number)
            logging.getLogger("signal").warning("%s stays with the host", signal.Signals(number).name)
        return signal.getsignal(number)

    signal.signal = guarded
