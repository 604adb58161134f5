"""Steps of the schema `notifier`, in order."""
