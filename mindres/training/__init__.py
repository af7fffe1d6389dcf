"""Training: recipes, and what they are made of.

| change | where |
| --- | --- |
| a recipe, or a field of recipes | `recipes.RECIPES`, `recipes.Recipe` |
| an optimizer | a row of `optimizers.OPTIMIZERS` |
| a schedule of the learning rate | a row of `schedules.SCHEDULES` |
| what a step does with gradients and weights | `step` |
| what is prepared for a run, and its callbacks | `assembly` |
| the order of epochs | `epochs` |

`trainer.train` is `mindres.train`. Recipes, optimizers and schedules load no MindSpore.
"""
