"""The process around a command: errors become one line and an exit code, signals end in order."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer

# Exit codes, as a shell reports them for a program that the signal ended.
INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 141  # SIGPIPE, which Windows does not have

# These signals end the program in order, as Ctrl-C does: from `kill`, a job scheduler at its time
# limit, or a terminal that is closed.
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

_received: list[int] = []  # signals of ENDING


def end_in_order() -> None:
    """Handle the signals of ENDING as Ctrl-C, unless they are ignored, as by `nohup`."""

    def stop(number: int, _frame: Any) -> NoReturn:
        _received.append(number)
        raise KeyboardInterrupt

    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)


def conclude(code: int) -> NoReturn:
    """End the process with an exit code."""
    for number in (signal.SIGINT, *ENDING):  # no code would catch the exception of a signal now
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if code - 128 in (signal.SIGINT, *ENDING) and sys.platform != "win32":
        # A shell leaves its loop only if the signal itself ends the program; $? is the same.
        signal.signal(code - 128, signal.SIG_DFL)
        os.kill(os.getpid(), code - 128)
    sys.exit(code)


def run(command: Any, arguments: Sequence[str]) -> int:
    """Run a Click command and return the exit code; errors become one line on standard error.

    The codes are 0 done, 1 could not finish, 2 wrong usage or bad input, 130 interrupted, 143 ended
    by SIGTERM, and 141 if the reader of standard output has left. With NNTH_TRACEBACK in the
    environment errors are raised.
    """
    try:
        return _run(command, arguments)
    except KeyboardInterrupt:  # while an error, or a first interrupt, was printed
        _discard_output()
        return _interrupted()


def explain(error: Exception) -> tuple[int, str]:
    """Return the exit code and the message, on one line, of an error."""
    kind = type(error)
    if hasattr(error, "format_message"):  # an error of Click, whichever package contains it
        message = error.format_message()
        message = message[:1].lower() + message[1:].rstrip(".")
        if kind.__name__ == "NoSuchOption":
            message = _no_such_option(error)
        code = getattr(error, "exit_code", 2)
    elif isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        wrong_path = isinstance(
            error, FileNotFoundError | IsADirectoryError | NotADirectoryError | PermissionError
        )
        code, message = 2 if wrong_path else 1, where + error.strerror
    elif isinstance(error, MemoryError):
        code, message = 1, f"not enough memory. {error}"
    elif isinstance(error, ValueError) and kind.__name__ != "LinAlgError":  # a ValueError of NumPy
        code, message = 2, str(error)
    elif kind.__module__.startswith("nnth"):
        code, message = 1, str(error)
    else:
        code, message = 1, f"{kind.__name__}: {error} (NNTH_TRACEBACK=1 shows where)"
    return code, " ".join(message.split())


def _run(command: Any, arguments: Sequence[str]) -> int:
    try:
        code = _call(command, arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except typer.Exit as request:
        return request.exit_code
    except (KeyboardInterrupt, typer.Abort) as stop:
        code = _interrupted()
        if message := " ".join(str(stop).split()):
            typer.echo(f"nnth: interrupted: {message}", err=True)
    except BrokenPipeError:
        code = READER_GONE
    except Exception as error:
        if _is_interrupt(error):
            code = _interrupted()
        elif os.environ.get("NNTH_TRACEBACK"):
            raise
        else:
            code, message = explain(error)
            typer.echo(f"nnth: error: {message}", err=True)
    if code:
        _discard_output()
    return code


def _call(command: Any, arguments: Sequence[str]) -> int:
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # set by `start`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "_NNTH_COMPLETE" in os.environ:  # a shell requests completions
        os.environ["COLUMNS"] = "10000"  # fish reads one line per completion: Rich must not wrap
        try:
            return int(command.main(arguments, prog_name="nnth") or 0)
        except Exception:  # the line typed so far is invalid: no completions, no message
            return 1
    # `command.main` would handle broken pipes and interrupts in its own way.
    with command.make_context("nnth", list(arguments)) as context:
        return command.invoke(context) or 0


def _no_such_option(error: Any) -> str:
    from nnth_cli.wording import nearest

    names = [name for p in error.ctx.command.get_params(error.ctx) for name in p.opts]
    near = nearest(error.option_name, [name for name in names if name.startswith("--")])
    return f"no such option: {error.option_name}" + (f"; did you mean {near[0]}?" if near else "")


def _interrupted() -> int:
    return 128 + _received[0] if _received else INTERRUPTED


def _is_interrupt(error: BaseException | None) -> bool:
    """Return whether Ctrl-C caused an error: in the import of an extension it is an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _discard_output() -> None:
    """Redirect standard output to /dev/null, so that the flush at exit does not fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
