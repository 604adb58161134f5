"""The notifier: tells people what they should look at, and when it is over."""
