"""MLflow, imported so that it neither reports home, nor prints, nor waits for minutes. The only importer of mlflow."""

import logging
import os
import sqlite3
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # as it comes, a server that is down holds every call for minutes
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}.items():
    os.environ.setdefault(_name, _value)

# MLflow reads these variables when it is imported
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, Run, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: E402
from mlflow.store.db import utils as _utils  # noqa: E402

database_tools: Any = _utils  # its functions have no types

if "MLFLOW_LOGGING_LEVEL" not in os.environ:
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # the tracker says what fails, once, without a traceback
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

FAILURES = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, ValueError)
"""What a call may end in when the store, the disk or the network fails, or a file is not what it should be."""

__all__ = [
    "FAILURES",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Param",
    "Run",
    "RunTag",
    "database_tools",
    "first_line",
    "get_artifact_repository",
]


def first_line(error: BaseException) -> str:
    """What an error says, without the traceback and the SQL that some carry."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
