"""The tests below use the plugin."""

pytest_plugins = ("hil.plugin",)
