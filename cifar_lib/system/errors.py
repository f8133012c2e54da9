"""The errors of other libraries, in our sentences."""


def first_line(error: Exception) -> str:
    """What happened, without the lines that a library adds for its developers; else the kind of the error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
