"""One module a command: it reads options, calls one function, hands over the Table."""
