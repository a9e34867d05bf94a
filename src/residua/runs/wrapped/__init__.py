"""Models that others trained, as engines: what they take and give, read off, told or refused. No
torch.
"""
