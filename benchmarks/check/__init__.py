"""How many planted and known errors of real images `mindres check` finds."""
