import pytest
import torch
from torch import nn

from v2s_sklearn import load_acoustic_model
from v2s_sklearn.acoustic.recurrence import frozen_bilstm


@pytest.mark.parametrize("shape", [(5, 7, 6), (1, 1, 3), (3, 2, 10)])
def test_states_and_gradient_are_those_of_torch(shape):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        lstm = nn.LSTM(shape[2], 4, batch_first=True, bidirectional=True).double()
        sequence, weights = torch.randn(*shape).double(), torch.randn(*shape[:2], 8).double()
    results = []
    for run in (lambda x: lstm(x)[0], lambda x: frozen_bilstm(lstm, x)):
        inputs = (2 * sequence).requires_grad_()
        states = run(inputs)
        (gradient,) = torch.autograd.grad((states * weights).sum(), inputs)
        results.append((states, gradient))
    for ours, theirs in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_large_inputs_saturate():
    lstm = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    inputs = torch.full((2, 5, 3), 1e4, requires_grad=True)
    states = frozen_bilstm(lstm, inputs)
    states.sum().backward()
    torch.testing.assert_close(states, lstm(inputs)[0])
    assert inputs.grad.isfinite().all()


def test_frozen_and_trainable_model_have_the_same_gradient_of_the_waveform():
    frozen = load_acoustic_model("v2sa")
    gradients = []
    for model in (frozen.trainable_copy().double().requires_grad_(trainable) for trainable in (False, True)):
        waveform = 0.1 * torch.randn(2, 16000, generator=torch.Generator().manual_seed(0)).double()
        model(waveform.requires_grad_()).square().sum().backward()
        gradients.append(waveform.grad)
        assert (model.lstm1.weight_ih_l0.grad is None) == (
            model is not None and not model.lstm1.weight_ih_l0.requires_grad
        )
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-8, atol=1e-10)
