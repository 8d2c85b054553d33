"""What people judge: sheets of records, the form that shows them, the answers that come back."""
