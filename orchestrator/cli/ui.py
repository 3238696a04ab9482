"""``orchestrator ui``: the MLflow UI on this store."""

import click


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
def command(port: int) -> int:
    """Open the MLflow UI on this store.

    It listens on this machine alone; Ctrl-C ends it.
    """
    from orchestrator.home import Home
    from orchestrator.tracking import serve_ui

    home = Home.here()
    page = f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"
    click.echo(f"Open {page}\nIt shows {home.tracking_uri}; Ctrl-C ends it.")
    return serve_ui(home, port)
