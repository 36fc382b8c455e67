"""A frozen bidirectional LSTM layer, differentiated in its input only.

torch's LSTM computes the gradients of its weights whether they are asked for or not. Here both directions are one batch
of matrix products, with the cases in the last dimension, so that the gates of a step lie next to each other in memory.

Shape legend: B batch, T time steps, I inputs, H states of one direction.
"""

import torch


class _FrozenBiLSTM(torch.autograd.Function):
    """Inputs (T, I, B), weights (2, 4H, I), (2, 4H, H), biases (2, 4H, 1) to the halved states of each step (T, 2H, B).

    Step s of the second direction reads frame T - 1 - s. The gates stand in the order input, forget, cell, output.

    tanh(z) is written as 2 sigmoid(2 z) - 1, because torch's sigmoid is three times as fast as its tanh and one call
    serves all four gates: the weights give 2 z for the cell gate, cells are kept doubled and states halved.
    """

    @staticmethod
    def forward(ctx, x, input_weights, state_weights, bias):
        """Return the states: x (T, I, B), weights and bias of both directions to (T, 2, H, B)."""
        n_states = state_weights.shape[2]
        gates = torch.matmul(input_weights.flatten(0, 1), x).unflatten(1, (2, 4 * n_states)).add_(bias)
        gates[:, 1] = gates[:, 1].flip(0)
        cells, squashed, states = x.new_empty(3, len(x), 2, n_states, x.shape[2]).unbind()
        # Lists of the tensors of each step: an index operation costs as much as a product of this size.
        steps = (t.unbind() for t in (gates, *gates.unflatten(2, (4, n_states)).unbind(2), cells, squashed, states))
        cell_before = state_before = None
        for gate, i, f, g, o, cell, squash, state in zip(*steps, strict=True):
            if state_before is not None:
                gate.baddbmm_(state_weights, state_before)
            gate.sigmoid_()
            torch.mul(i, g, out=cell).mul_(4).sub_(i, alpha=2)  # 2 i tanh(z)
            if cell_before is not None:
                cell.addcmul_(f, cell_before)
            torch.sigmoid(cell, out=squash)
            torch.mul(o, squash, out=state).sub_(o, alpha=0.5)  # o tanh(c) / 2
            cell_before, state_before = cell, state
        ctx.save_for_backward(gates, cells, squashed, input_weights, state_weights)
        return torch.cat([states[:, 0], states[:, 1].flip(0)], dim=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        """Return the gradient of x; the frozen weights need none."""
        gates, cells, squashed, input_weights, state_weights = ctx.saved_tensors
        n_states = state_weights.shape[2]
        i, f, g, o = gates.unflatten(2, (4, n_states)).unbind(2)
        # For all steps at once: d gate / d its argument; from it d doubled cell / d argument, and for the output gate
        # d halved state / d argument.
        slopes = torch.addcmul(gates, gates, gates, value=-1)
        by_gate = slopes.unflatten(2, (4, n_states))
        to_i, to_f, to_g, to_o = by_gate.unbind(2)
        to_i *= (g - 0.5).mul_(4)
        to_f[0] = 0
        to_f[1:] *= cells[:-1]
        to_g.mul_(i).mul_(4)
        to_o *= squashed - 0.5
        cell_to_state = torch.addcmul(squashed, squashed, squashed, value=-1).mul_(o)
        back = state_weights.transpose(1, 2).contiguous()
        gradient = torch.stack([gradient[:, :n_states], gradient[:, n_states:].flip(0)], dim=1)
        steps = (t.unbind() for t in (slopes, by_gate[:, :, :3], to_o, f, cell_to_state, gradient))
        slope_after = f_after = cell_after = None
        for slope, to_ifg, to_output, f_now, to_cell, to_state in reversed(list(zip(*steps, strict=True))):
            if slope_after is not None:
                to_state.baddbmm_(back, slope_after)
            to_cell *= to_state
            if slope_after is not None:
                to_cell.addcmul_(cell_after, f_after)
            to_ifg *= to_cell.unsqueeze(1)
            to_output *= to_state
            slope_after, f_after, cell_after = slope, f_now, to_cell
        slopes[:, 1] = slopes[:, 1].flip(0)
        return torch.matmul(input_weights.flatten(0, 1).t(), slopes.flatten(1, 2)), None, None, None


def frozen_bilstm(lstm, sequence):
    """Return the states of a frozen layer, as ``lstm(sequence)[0]``, with the gradient of the sequence alone.

    Parameters
    ----------
    lstm : torch.nn.LSTM
        One bidirectional layer with biases, ``batch_first``; its weights get no gradient.
    sequence : tensor of shape (B, T, I)

    Returns
    -------
    tensor of shape (B, T, 2H)
    """
    input_weights, state_weights, *biases = (
        torch.stack([getattr(lstm, f"{name}_l0{direction}").detach() for direction in ("", "_reverse")])
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    factors = input_weights.new_ones(4, lstm.hidden_size)
    factors[2] = 2  # the cell gate's
    factors = factors.view(-1, 1)
    states = _FrozenBiLSTM.apply(
        sequence.permute(1, 2, 0).contiguous(),
        factors * input_weights,
        2 * factors * state_weights,
        factors * sum(biases).unsqueeze(2),
    )
    return 2 * states.permute(2, 0, 1)
