"""`/v2`: the Open Inference Protocol, as the clients of KServe, Triton and MLServer speak it."""
