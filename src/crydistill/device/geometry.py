"""Sizes of a layer that slides a window over its input: what formulas of vendors' kernels read."""

from dataclasses import dataclass, replace

from crydistill.tflite.file import ALIGNMENT, Operator, TfliteFile

_SAME = 0


@dataclass(frozen=True)
class Window:
    """Geometry of a convolution or pool; `pad_height` and `pad_width` lie before the input."""

    height: int
    width: int
    channels: int
    out_height: int
    out_width: int
    filters: int
    filter_height: int
    filter_width: int
    stride_height: int
    stride_width: int
    dilation_height: int
    dilation_width: int
    pad_height: int
    pad_width: int

    @property
    def is_pointwise(self) -> bool:
        return self.filter_height == self.filter_width == 1 and not (
            self.pad_height or self.pad_width
        )

    @property
    def is_strided(self) -> bool:
        return (self.stride_height, self.stride_width) != (1, 1)

    @property
    def is_dilated(self) -> bool:
        return (self.dilation_height, self.dilation_width) != (1, 1)

    @property
    def taps(self) -> int:
        return self.filter_height * self.filter_width

    @property
    def pad_below(self) -> int:
        """Rows of padding behind the input that an output reads."""
        return _behind(
            self.height,
            self.out_height,
            self.stride_height,
            (self.filter_height - 1) * self.dilation_height + 1 - self.pad_height,
        )

    @property
    def pad_right(self) -> int:
        """Columns of padding behind the input that an output reads."""
        return _behind(
            self.width,
            self.out_width,
            self.stride_width,
            (self.filter_width - 1) * self.dilation_width + 1 - self.pad_width,
        )

    @property
    def padded_height(self) -> int:
        return self.pad_height + self.height + self.pad_below

    @property
    def padded_width(self) -> int:
        return self.pad_width + self.width + self.pad_right


def window_of(file: TfliteFile, operator: Operator) -> Window:
    """Geometry of a convolution or average pool.

    Parameters
    ----------
    file : model that `inspect_tflite` has accepted
    """
    x, output = file.tensors[operator.inputs[0]], file.tensors[operator.outputs[0]]
    options = operator.options
    if operator.name == "AVERAGE_POOL_2D":
        filter_height, filter_width = options["filter_height"], options["filter_width"]
    else:
        _, filter_height, filter_width, _ = file.tensors[operator.inputs[1]].shape
    window = Window(
        height=x.shape[1],
        width=x.shape[2],
        channels=x.shape[3],
        out_height=output.shape[1],
        out_width=output.shape[2],
        filters=output.shape[3],
        filter_height=filter_height,
        filter_width=filter_width,
        stride_height=options["stride_height"],
        stride_width=options["stride_width"],
        dilation_height=options.get("dilation_height", 1),
        dilation_width=options.get("dilation_width", 1),
        pad_height=0,
        pad_width=0,
    )
    if options["padding"] != _SAME:
        return window
    # Without padding in front, all of it would lie behind; an odd remainder stays there.
    return replace(window, pad_height=window.pad_below // 2, pad_width=window.pad_right // 2)


def rounded_up(size: int, multiple: int) -> int:
    """The smallest multiple that is not less than a size."""
    return -(-size // multiple) * multiple


def aligned(size: int) -> int:
    """The room that a tensor of so many bytes takes in an arena."""
    return rounded_up(size, ALIGNMENT)


def _behind(size: int, outputs: int, stride: int, reach: int) -> int:
    return max(0, (outputs - 1) * stride + reach - size)
