"""The database's own functions, one module per released form. A form that was released is never edited."""
