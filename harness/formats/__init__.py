"""Reading and writing histories: ours, Jepsen's, elle-cli's and AWDIT's."""
