"""What holds for all tests."""

import os
import signal

# Workers of pytest-xdist are as many as the cores; more threads of the BLAS would only wait.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_configure() -> None:
    # A shell's background jobs ignore Ctrl-C, those of nohup the end of their terminal, and what
    # they start does too: the tests of it could not pass there.
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
