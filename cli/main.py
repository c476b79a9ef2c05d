"""The command line. Command modules import what is heavy inside their functions, so that every command starts fast."""

import typer

from cli import config, dev, doctor, migrate, serve

app = typer.Typer(
    name="orderflow",
    help="Order management in which every order is a durable Temporal workflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command("dev")(dev.dev)
app.command("api")(serve.api)
app.command("worker")(serve.worker)
app.command("migrate")(migrate.migrate)
app.command("doctor")(doctor.doctor)
app.add_typer(config.app, name="config")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
