"""The sealed relay: switching WireGuard's ciphertext by label, without any key.

*Message*: a WireGuard packet, by its first byte. *Receiver index*: the 32 bits by which a message names its receiver's session. *Label*: (sending
node, receiver index), which tells the receiving node. *Switch*: the pure state machine over labels. *Tables*: the labels in the kernel, where data
packets pass. *Tap*: how handshakes reach the daemon.
"""
