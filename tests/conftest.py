"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    # A shell's background jobs ignore Ctrl-C, and what they start does too: the tests of it could
    # not pass there.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
