"""Each fault of the on-call table planted in a running platform, until its alert arrives at real receivers."""
