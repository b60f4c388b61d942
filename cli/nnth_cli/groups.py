"""Groups of commands for Click: errors that list the commands, and a default command."""

from collections.abc import Callable, Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from nnth_cli.wording import hint


class Group(TyperGroup):
    """Commands under one name; a missing or unknown name is an error that lists the names.

    A command is made when it is first needed, since making its parameters takes milliseconds.
    """

    def lists(
        self,
        names: Sequence[str],
        load: Callable[[str], Any],
        help_of: Callable[[str], str],
    ) -> None:
        """Set the names of the commands, in order, and functions that make one and its help."""
        self._names, self._load, self._help_of = list(names), load, help_of

    def list_commands(self, ctx: Any) -> list[str]:
        return self._names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self._names and cmd_name not in self.commands:
            self.commands[cmd_name] = self._load(cmd_name)
        return self.commands.get(cmd_name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and not self.invoke_without_command and not ctx.resilient_parsing:
            names = ", ".join(self.list_commands(ctx))
            ctx.fail(f"{ctx.info_name} must be followed by one of {names}")
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] not in names and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {args[0]!r}; {hint(args[0], names)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands with their first sentences, which Click would truncate."""
        listed = [TyperCommand(name, help=self._help_of(name)) for name in self._names]
        with formatter.section("Commands"):
            formatter.write_dl([(own.name, own.get_short_help_str(10_000)) for own in listed])


class DefaultGroup(Group):
    """A group whose first command runs if none is named, with the options that are given.

    `nnth regions --n0 2` is `nnth regions count --n0 2`. The help of the group lists its commands,
    followed by the options of the first. If `takes_argument` is set, a first word that names no
    command is an argument of the first: `nnth gram iris`.
    """

    takes_argument = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args[:1] and args[0] in ctx.help_option_names:
            return super().parse_args(ctx, args)
        argument = self.takes_argument and args[:1] and args[0] not in self.list_commands(ctx)
        if argument or (args[0].startswith("-") if args else not ctx.resilient_parsing):
            args = [self.list_commands(ctx)[0], *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        found = super().shell_complete(ctx, incomplete)
        if incomplete[:1] == "-":
            found = found + self._first(ctx).shell_complete(ctx, incomplete)
        return found

    def format_options(self, ctx: Any, formatter: Any) -> None:
        self.format_commands(ctx, formatter)
        first = self._first(ctx)
        with formatter.section(f"Options of {ctx.info_name} {first.name}, the default"):
            shown = (parameter.get_help_record(ctx) for parameter in first.get_params(ctx))
            formatter.write_dl([record for record in shown if record is not None])

    def _first(self, ctx: Any) -> Any:
        return self.get_command(ctx, self.list_commands(ctx)[0])
