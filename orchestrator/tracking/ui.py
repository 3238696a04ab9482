"""MLflow's own user interface on the store of a home."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from types import FrameType

from orchestrator.home import Home
from orchestrator.tracking.store import RunStore
from search_spaces.errors import UserError

_HOST = "127.0.0.1"


def serve_ui(home: Home, port: int) -> int:
    """Serve MLflow's user interface on this machine alone, until it is interrupted.

    Args:
        home: Whose store is shown; a server that keeps it elsewhere has a user interface of its own.
        port: Where it listens.

    Returns:
        Exit status: 0 after an interrupt.

    Raises:
        UserError: The port is taken, or the store is a server's.
        StoreError: The store cannot be opened.
    """
    if home.tracking_uri.startswith(("http:", "https:")):
        raise UserError(f"the runs are on a server that shows them itself: {home.tracking_uri}")
    RunStore(home)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise UserError(f"port {port} cannot be used: {error.strerror}; choose another with --port") from error
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", home.tracking_uri]
    command += ["--default-artifact-root", str(home.artifacts), "--no-serve-artifacts"]
    command += ["--host", _HOST, "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)  # the server has started processes of its own
        server.wait()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
