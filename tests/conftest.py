"""Settings of all tests."""

import os
import signal

from hypothesis import HealthCheck, settings

# pytest-xdist has as many workers as there are cores; more threads of the BLAS would only wait.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


# The same examples on every machine, and no time limit, which a busy machine would exceed.
settings.register_profile(
    "any machine",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")


def pytest_configure() -> None:
    # Background jobs of a shell ignore Ctrl-C, and those of nohup the end of their terminal.
    # Programs that they start inherit this, and the tests of signals could not pass there.
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
