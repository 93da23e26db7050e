"""The sections of a report, one module for each kind of folder and one for what to cite."""
