"""What every model and evaluator costs on this machine: time, memory, energy."""
