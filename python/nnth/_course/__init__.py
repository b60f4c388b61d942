"""The statements of the course and their verification."""
