"""Tables and figures of the pages in docs/, from the tables of results."""
