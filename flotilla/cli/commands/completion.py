"""`flotilla completion`."""

import click
from click.shell_completion import get_completion_class

from flotilla.cli.options import Options, common, pass_options

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@common
@pass_options
def completion(options: Options, shell: str) -> None:
    """Print what makes SHELL complete commands, options, and the names of engines, backtests, studies and strategies.

    \b
    eval "$(flotilla completion bash)"                                       # in ~/.bashrc
    eval "$(flotilla completion zsh)"                                        # in ~/.zshrc
    flotilla completion fish > ~/.config/fish/completions/flotilla.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    root = click.get_current_context().find_root().command
    script = found(root, {}, "flotilla", "_FLOTILLA_COMPLETE").source()
    options.output.document({"shell": shell, "script": script}, lambda: script)
