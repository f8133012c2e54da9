"""Make the weights and the model cards that come with the library."""


def add_arguments(command):
    """What can be written after the name of the command."""
    command.add_argument("names", nargs="+", metavar="RECIPE", help="fast-lean, study, paper or mlp")
    command.add_argument("--records", help="folder of the recorded runs, by default cifar_lib/recorded")
    command.add_argument("--folder", help="where the files go, by default cifar_lib/pretrained")


def run(arguments, output):
    """Make the files of each network, and print its accuracy."""
    from .. import runs

    for name in arguments.names:
        card = runs.publish(name, arguments.records, arguments.folder)
        low, high = card.test_interval
        output(
            f"{name}: {card.test_accuracy:.1%} of {card.data['n_test']:,} test images right, "
            f"95 % interval {low:.1%} to {high:.1%}; temperature {card.temperature}; "
            f"fp16 changes {card.changed} predictions",
            "card",
            **card.model_dump(mode="json"),
        )
