"""What the two classes cost in CPU time and memory, beside their peers, in one run."""
