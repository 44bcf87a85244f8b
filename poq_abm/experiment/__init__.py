"""Many runs: treatments x replications, played, stored and read back."""
