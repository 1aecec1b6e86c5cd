"""The run-time type checker of the tests: beartype, where an int is accepted as a float."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check calls of a function with beartype, from its first call on.

    A process calls a part of the functions, and making a check takes longer than most checks.
    jaxtyping has two functions checked for each: one with the arguments alone, which returns
    anything, and one with the result, too. The lengths that the arguments gave to the names of
    axes are still known then, so the second one does not check the arguments again.
    """
    made: list[Callable[..., Any]] = []

    def call(*arguments: Any, **named: Any) -> Any:
        if not made:
            result = function.__annotations__.get("return", Any)
            if result is not Any:
                function.__annotations__ = {"return": result}
            made.append(checked(function))
        return made[0](*arguments, **named)

    return call
