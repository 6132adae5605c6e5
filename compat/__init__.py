"""Does no harm: the test suites of the libraries we trace, run with and without autotrace."""
