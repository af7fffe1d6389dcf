"""Training: recipes, optimizers, schedules, and the training loop.

| change | where |
| --- | --- |
| a recipe, or a field of recipes | `recipes.RECIPES`, `recipes.Recipe` |
| an optimizer | a row of `optimizers.OPTIMIZERS` |
| a schedule of the learning rate | a row of `schedules.SCHEDULES` |
| what a step does with gradients and weights | `step` |
| the parts of a run and its callbacks | `assembly` |
| the loop over epochs | `epochs` |
| the plan of `mindres train --time` | `plan`, `budget`, `lr_finder` |

`trainer.train` is `mindres.train`. Recipes, optimizers and schedules load no MindSpore.
"""
