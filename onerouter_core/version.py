"""The version of the package; the build, the User-Agent header and tracing read it here."""

__version__ = "1.0.0"
