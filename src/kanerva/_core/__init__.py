"""What every floor shares: errors, checks of input, whole files, settings."""

__all__: list[str] = []
