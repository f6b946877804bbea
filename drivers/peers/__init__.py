"""The same computations as a skilled user of other libraries would write them; what our speed is measured against."""
