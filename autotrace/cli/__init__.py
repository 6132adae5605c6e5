"""The command line: `autotrace-run` starts programs, `autotrace` looks at what they told."""
