"""The command line of `nnth sweep`: its own options, and those of the command that is swept."""

from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from nnth_cli.main import full_name, load
from nnth_cli.main import names_of_commands as all_names
from nnth_cli.sweep.plan import Plan, read_plan
from nnth_cli.wording import hint

PLAN = "nnth.plan"  # key of the Plan in the context's meta
_TARGET = "nnth.target"  # key of the command that is swept


def names_of_commands() -> list[str]:
    """Return the full names of the commands that can be swept."""
    return [name for name in all_names() if name != "sweep"]


def completed_names(incomplete: str) -> list[str]:
    """Return completions of the first word: commands, and the groups of subcommands."""
    return list(dict.fromkeys(name.partition(" ")[0] for name in names_of_commands()))


class Command(TyperCommand):
    """Parses the options of the sweep together with those of the command that is swept."""

    def get_params(self, ctx: Any) -> list[Any]:
        own = super().get_params(ctx)
        target = ctx.meta.get(_TARGET)
        if target is None:
            return own
        names = {parameter.name for parameter in own} | {"append"}
        return own + [parameter for parameter in target.params if parameter.name not in names]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args:
            name, rest = full_name(args)  # `rkhs fit` becomes one word
            args = [name, *rest]
        if not args or args[0].startswith("-"):
            if args and args[0] not in ctx.help_option_names and not ctx.resilient_parsing:
                ctx.fail(f"the command to sweep must come first, before {args[0]}")
            return super().parse_args(ctx, args)
        plan = _plan_of(args[0])
        if plan.command not in names_of_commands():
            suggestion = hint(plan.command, names_of_commands())
            ctx.fail(f"there is no command {plan.command!r} to sweep; {suggestion}")
        own = super().get_params(ctx)
        ctx.meta[_TARGET] = load(plan.command)
        ctx.meta[PLAN] = plan
        found, rest, _ = self.make_parser(ctx).parse_args(args=list(args))
        for parameter in sorted(own, key=lambda parameter: not parameter.is_eager):
            parameter.handle_parse_result(ctx, found, rest)
        if rest and not ctx.resilient_parsing:
            ctx.fail(f"got unexpected extra arguments ({' '.join(map(str, rest))})")
        names = {parameter.name for parameter in own}
        plan.given = {n: v for n, v in found.items() if n not in names and v is not None}
        ctx.args = rest
        return rest


def _plan_of(first: str) -> Plan:
    """Return the sweep of a TOML file, or of the name of a command."""
    if Path(first).suffix != ".toml":
        return Plan(first)
    plan = read_plan(Path(first))
    plan.command = full_name(plan.command.split() or [""])[0]
    return plan
