"""What the persona knows, says and must not say: pure, so that replay, backtest, text and voice share it."""
