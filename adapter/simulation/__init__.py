"""One trace, one fleet, one policy, one seed: a table, a picture and the bounds beside it, without clock or network.

It reads traces and configuration files and renders; what happens is computed by the optimizer's simulated cluster.
`names` is light, for command lines; everything else brings numpy along.
"""
