"""Detection of wrongly assigned elements and other problems in structures."""
