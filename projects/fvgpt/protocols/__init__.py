"""Tables of many runs: planning, execution, statistics, tables and figures."""
