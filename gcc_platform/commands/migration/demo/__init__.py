"""The rehearsal: a company moves over and back, on servers of its own."""
