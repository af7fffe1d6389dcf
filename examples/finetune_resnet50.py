"""Fine-tune ResNet-50 on CIFAR-10 or on scikit-learn's digits: MindSpore's tutorial, on today's MindSpore."""

import mindres
from mindres.errors import UserError, run
from mindres.flags import training_parser


def main():
    parser = training_parser(__doc__, "python examples/finetune_resnet50.py --dataset cifar10 --download")
    args = parser.parse_args()
    device = mindres.set_device(args.device_target)
    mindres.set_seed(args.seed)

    # The datasets: augmented batches for training, every image once for validation.
    from mindres.data import DATASETS
    Dataset = DATASETS[args.dataset]
    options = {"batch_size": args.batch_size, "resize": args.resize, "download": args.download}
    train_data = Dataset(args.dataset_path, split="train", **options)
    val_data = Dataset(args.dataset_path, split="test", **options)

    # The network: weights learnt on ImageNet, and a fresh classifier for these classes.
    net = mindres.create_model(args.arch, num_classes=len(train_data.classes))
    load_pretrained(net, args.pretrained)

    print(f"{args.arch} on {args.dataset}, {device}: {args.epochs} epochs in batches of {args.batch_size}", flush=True)
    mindres.train(net, train_data, val_data, epochs=args.epochs, lr=args.lr, min_lr=args.min_lr,
                  momentum=args.momentum, weight_decay=args.weight_decay, freeze=args.freeze,
                  amp_level=args.amp_level, ckpt_dir=args.ckpt_dir, overwrite=args.overwrite,
                  max_steps=args.max_steps, mode=args.mode)


def load_pretrained(net, source):
    """Load what --pretrained names; where nothing was asked for, published weights if they can be had."""
    if source in ("false", "true"):
        source = source == "true"
    if source is None:
        try:
            print(mindres.load_weights(net, True))
        except UserError as error:
            print(f"training from random weights: {error}")
    elif source:
        print(mindres.load_weights(net, source))


if __name__ == "__main__":
    run(main)
