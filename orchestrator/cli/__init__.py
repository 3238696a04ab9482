"""The command line: one thin file a command, each imported only when it is called."""

import importlib
import pkgutil
import sys

import click

from search_spaces.errors import UserError

_EPILOG = """\b
First steps:
  orchestrator studies       what can be run here
  orchestrator plan an4      what a run would do, and how long it would take
  orchestrator run an4       run it; the same command goes on after an interruption
  orchestrator ui            watch it in the browser
"""


class _Commands(click.Group):
    """Commands by file name: ``cli/run.py`` holds ``command`` for ``orchestrator run``; ``_`` there is ``-`` here."""

    def list_commands(self, context: click.Context) -> list[str]:
        names = {module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)}
        order = ["studies", "plan", "run", "status", "ui", "leaderboard", "report", "promote", "finalize", "free"]
        order += ["transcribe", "evaluate", "score", "lm", "import", "import-posteriors", "export-posteriors"]
        return [name for name in order if name in names] + sorted(names - set(order))

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        found = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").command
        return found if isinstance(found, click.Command) else None


@click.group(
    cls=_Commands,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="ctc-orchestrator", prog_name="orchestrator")
def cli() -> None:
    """Which approach lowers the word error rate, and is it more than noise?

    Runs named studies of CTC sequence models: Optuna chooses the trials, MLflow shows them, the best is promoted and
    the leaderboard compares the strategies.
    """


def main() -> None:
    """Run the command line; an error that a user can mend is shown without a traceback.

    Exit status: 0 done; 1 the work failed; 2 the call or a file is wrong; 130 interrupted, and resumable.
    """
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; the same command goes on where this one stopped", err=True)
        status = 130
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        status = 2
    except BrokenPipeError:
        sys.stderr.close()
        status = 0
    sys.exit(status if isinstance(status, int) else 0)
