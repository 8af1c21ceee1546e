"""The version, said once: the build, the User-Agent and tracing all read it here."""

__version__ = "1.0.0"
