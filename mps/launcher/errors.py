"""The one exception of the launcher."""


class LauncherError(Exception):
    """Something the operator has to know, said in one sentence; shown without a traceback."""
