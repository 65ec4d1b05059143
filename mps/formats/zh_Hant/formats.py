"""Date and time formats that sort correctly, fit a column and are unambiguous."""

DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i:s"
# As people in Taiwan write amounts; Django groups nothing here.
THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
