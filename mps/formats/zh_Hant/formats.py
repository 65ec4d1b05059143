"""How dates and times are shown: so that they sort, fit a column, and mean the same everywhere."""

DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i:s"
# As people in Taiwan write amounts; Django groups nothing here.
THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
