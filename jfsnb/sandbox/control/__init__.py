"""The sandbox's control loops: scheduler, volume binder, garbage collector, DaemonSets and friends."""
