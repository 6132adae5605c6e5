"""Zero-code distributed tracing for Python.

Nothing here is imported by an application: `autotrace-run` puts the bootstrap directory on
`PYTHONPATH`, and `sitecustomize` arms the import hooks when the interpreter starts.
"""

__version__ = "0.1.0"
