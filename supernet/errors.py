"""The error that a user can mend."""


class UserError(Exception):
    """A mistake in the input, told in one line that names the remedy; the commands print it without a traceback."""


class SettingsError(UserError):
    """The same, of a mistake that a resumed run, whose settings are those of before, makes again."""


MEMORY = (
    "smaller batches (batch_size=), recompute=cell, trainer=ddp with more devices, trainer.precision=bf16-mixed, "
    "partial_channels=4, a relaxation that runs one operation an edge (relaxation=gumbel), formulation=first_order, or "
    "a smaller network help"
)
"""What to do where memory does not suffice."""
