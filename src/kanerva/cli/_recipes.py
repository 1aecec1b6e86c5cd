"""The recipes that a command can name: those of this library, of plug-ins, and ``module:NAME``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kanerva._core import checks
from kanerva._core.errors import refuse
from kanerva.lab import plugins

if TYPE_CHECKING:
    from kanerva.lab.recipe import Recipe

__all__ = ["GROUP", "data_names", "everything", "named", "one_of"]

# The group of entry points under which other packages offer recipes.
GROUP = "kanerva.recipes"


def everything() -> dict[str, "Recipe"]:
    """Return all recipes by name, those of plug-ins last."""
    from kanerva.lab.papers import RECIPES, recipes

    found = dict(RECIPES)
    points = plugins.entry_points(GROUP)
    for name, made in plugins.load_all(points, lambda _, value: recipes(value)).items():
        for recipe in made.values():
            if found.setdefault(recipe.name, recipe) is not recipe:
                argument = f"the recipe {recipe.name!r} of the entry point {name!r}"
                must, got = "the only one of its name", "one of two"
                refuse(argument, must=must, got=got, do="rename it, or uninstall its package")
    return found


def data_names() -> list[str]:
    """Return the names of data sets; those of plug-ins that cannot be used are left out."""
    from kanerva.lab import data

    def function(name: str, value: Any) -> Any:
        if not callable(value):
            refuse(name, value, must="a function that returns a DataSet", do="name a function")
        return value

    own = (*data.SETS, *data.DOWNLOADED)
    return [*own, *plugins.load_all(plugins.entry_points(data.GROUP, taken=own), function)]


def named(name: str) -> list["Recipe"]:
    """Return the recipe of a name, or the recipes at ``module:NAME``."""
    from kanerva.lab.papers import RECIPES, recipes

    if not plugins.is_location(name):
        known = everything()
        return [known[one_of(name, known, "names that kanerva list prints")]]
    found = list(recipes(plugins.load("name", name)).values())
    for recipe in found:
        if RECIPES.get(recipe.name, recipe) is not recipe:
            must = "module:NAME of a recipe with a name that kanerva does not use itself"
            refuse("name", must=must, got=f"one of {recipe.name!r}", do="rename the recipe")
    return found


def one_of(name: str, known: Iterable[str], what: str) -> str:
    """Return a name that is known, and refuse another one with the nearest that is."""
    names = list(known)
    if name not in names:
        do = checks.nearest(name, names, "see kanerva list")
        refuse("name", must=f"one of the {what}, or module:NAME of your own", got=repr(name), do=do)
    return name
