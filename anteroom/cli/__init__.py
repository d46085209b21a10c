"""The command line. Commands are loaded on use, so that `anteroom --help` answers at once."""

import importlib

import click

_COMMANDS = {
    "up": ("serve", "Run Anteroom: every service in one process."),
    "run": ("cluster", "Run one service, or all, on Kafka, MongoDB and S3."),
    "index": ("index", "Prepare Kafka, MongoDB and S3 for this version."),
    "demo": ("serve", "Show the whole way of a study, with neighbours of its own."),
    "send": ("send", "Send files, folders, ZIPs and disc images."),
    "ls": ("studies", "List studies, newest first."),
    "show": ("studies", "Everything about one study."),
    "approve": ("decide", "Let a study into the PACS."),
    "decline": ("decide", "Turn a study down."),
    "ask": ("decide", "Ask the sender to explain or send again."),
    "retry": ("decide", "Try the failed deliveries of a study again."),
    "events": ("operations", "What happened, as it is logged."),
    "dead-letters": ("operations", "Events that could not be handled."),
    "replay": ("operations", "Deliver a dead letter again."),
    "doctor": ("doctor", "Check what is reachable and what is missing."),
    "backup": ("moving", "Save everything, also while the server runs."),
    "restore": ("moving", "Bring a backup back."),
    "migrate": ("moving", "Move an installation of one machine into a cluster."),
    "account": ("accounts", "Accounts and their tokens."),
    "group": ("groups", "Groups of accounts."),
    "audit": ("audit", "Check that the audit trail is as it was written."),
    "retention": ("retention", "How long images are kept."),
    "request": ("asking", "Ask somebody without an account for images."),
    "destination": ("destinations", "Where approved studies go."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"anteroom.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="anteroom")
def main() -> None:
    """Anteroom: the room between the outside world and a hospital's clean PACS."""
