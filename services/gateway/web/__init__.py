"""What every request needs: who asks, what was asked, errors, links."""
