"""The checks by which we notice that two records of the same thing have come apart."""
