"""What reviewers teach, and whether a lesson helps before anybody lives by it."""
