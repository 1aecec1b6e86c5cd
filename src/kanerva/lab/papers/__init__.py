"""The experiments of the papers as recipes, a file for each line of work; they do not import each other."""

from kanerva.lab.papers import jaeckel1989, keeler1988
from kanerva.lab.papers.bricken2021 import critical, images, recall, theory
from kanerva.lab.papers.kanerva1988 import critical as critical1988
from kanerva.lab.papers.kanerva1988 import overlap as overlap1988
from kanerva.lab.papers.kanerva1988 import recall as recall1988
from kanerva.lab.recipe import Recipe

__all__ = ["ABSENT", "RECIPES"]

MODULES = (
    theory,
    critical,
    recall,
    overlap1988,
    critical1988,
    recall1988,
    jaeckel1989,
    keeler1988,
    images,
)
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for module in MODULES
    for recipe in vars(module).values()
    if isinstance(recipe, Recipe)
}

# Experiments that are not here, and why.
ABSENT = {
    "Statistics of the 90 values of beta that translation models with query-key normalisation learned (Henry and others 2020)": (
        "the values are not printed in a publication, only handed on by their authors; the three optimal radii that they are "
        "compared with are in `sdm.optimal_radius`."
    ),
    "The effective beta of the heads of GPT-2 (Bricken and Pehlevan 2021, appendix)": "it needs the weights of that model.",
    "Recall of MNIST by learned keys (Bricken and Pehlevan 2021)": (
        "the pictures are downloaded, which was not possible where these pages were made. The numbers are checks of "
        "`sdm.projection`: `kanerva run sdm.projection --set data=mnist --set patterns=60000 --set draw=rounded`."
    ),
}
