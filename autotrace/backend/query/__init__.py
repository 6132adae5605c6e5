"""The query APIs of Jaeger and Zipkin, as scripts, dashboards and their own viewers use them."""
