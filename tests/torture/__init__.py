"""The torture test: random schemas, random transactions, random faults, and a row-by-row comparison."""
