"""The error tree of the demo: catch `DemoError` to catch them all."""


class DemoError(Exception):
    """Root of every error that `stream.demo` raises."""


class PeopleError(DemoError):
    """A folder or manifest of people cannot be read as one."""
