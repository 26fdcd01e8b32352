"""Tables over many runs: planning, execution, statistics, tables, figures, published numbers."""
