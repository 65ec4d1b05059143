"""What the performance budgets are measured with."""
