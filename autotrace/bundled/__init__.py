"""Stand-ins for packages that a payload must not bring into the program under their own names.

`autotrace payload` puts copies of others beside them, and turns the imports of all that is ours there.
"""
