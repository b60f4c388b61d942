"""Where the program starts: Ctrl-C is quiet even while it is still being imported."""

import signal


def main() -> None:
    """The entry point of the program."""
    # A KeyboardInterrupt in an import is a traceback; the signal's own end is 130 in a shell.
    # `nnth_cli.main.run` listens again. What ignores the signal, in the background, goes on so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nnth_cli.main import main as program

    program()
