"""One module per thing that is looked at. A probe never raises for what it looks at: that is what it reports."""
