"""`/admin/v1/…`: for administrators, by admin token. One module a noun."""
