"""What a loaded model can be asked to do: prepare (bytes to arrays), forward (a batch on the device), finish."""
