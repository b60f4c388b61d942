"""The command line of nnth: reads options, calls one function of nnth, prints its Table."""
