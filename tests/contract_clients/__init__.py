"""The contract's documents, in the hands of programs that are not ours."""
