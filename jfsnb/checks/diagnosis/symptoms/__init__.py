"""What error texts mean. These tables name causes; whether something is wrong is never asked of them."""
