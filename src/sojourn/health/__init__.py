"""The health of recording and delivery, and what is wrong with it: for the command line and the report."""
