"""Jobs that do nothing, for overhead.py: they stand in a module of their own, as what runs in a new process must."""


def work_for_nothing(config, overrides, folder, parent, tags):
    """A job that loads, opens its run and ends it, as every other, but trains nothing."""
    from lctrain.devices.runtime import load_libraries
    from lctrain.system.process_setup import prepare_process
    from lctrain.tracking import start_run

    prepare_process()
    load_libraries(config)
    with start_run(config.tracking, "nothing", tags, folder, parent) as run:
        run.log_params(config.model_dump())
    return {}


def log_for_nothing(config, overrides, folder, parent, tags):
    """The same without TensorFlow: to see many jobs in little time."""
    from lctrain.tracking import start_run

    with start_run(config.tracking, "nothing", tags, folder, parent) as run:
        run.log_params(config.model_dump())
    return {}
