"""The imperative shell: the only home of Faust, aiokafka, Prometheus, the environment and the wall clock."""
